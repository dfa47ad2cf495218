package rules

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/supervisor/backoff"
	"github.com/bulwark-go/bulwark/supervisor/budget"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

func TestOneForOne(t *testing.T) {
	two := Config{Intensity: intensity.Config{Restarts: 2, Period: 100}}
	play(t, []scene{
		{"a child that fails is restarted at once", Config{}, false, "a b", []line{
			{0, "fail a", "restart a"},
			{0, "wake", "never"},
		}},
		{"siblings share the intensity, and one too many is given up", two, false, "a b", []line{
			{0, "fail a", "restart a"},
			{1, "fail b", "restart b"},
			{100, "fail a", "a running>stopping intensity, stop a, give-up a intensity"},
			{100, "gone a", "a stopping>stopped intensity"},
			{100, "fail a", ""},
			{101, "fail b", "b running>stopping intensity, stop b, give-up b intensity"},
		}},
		{"what was handed up begins anew", two, false, "a b", []line{
			{0, "fail a", "restart a"},
			{0, "fail a", "restart a"},
			{0, "fail a", "a running>stopping intensity, stop a, give-up a intensity"},
			{0, "handed-up", ""},
			{0, "fail b", "restart b"},
		}},
		{"a verdict to stop stops", Config{}, false, "a", []line{
			{0, "fail a stop", "a running>stopping decided, stop a"},
			{0, "gone a", "a stopping>stopped decided"},
		}},
		{"a verdict to resume resumes, and counts nothing", two, false, "a", []line{
			{0, "fail a resume", "resume a"},
			{0, "fail a resume", "resume a"},
			{0, "fail a resume", "resume a"},
			{0, "fail a", "restart a"},
		}},
		{"a verdict to escalate gives up", Config{}, false, "a", []line{
			{0, "fail a escalate", "a running>stopping decided, stop a, give-up a decided"},
		}},
		{"a temporary child is not restarted", Config{}, false, "a:temporary", []line{
			{0, "fail a", "a running>stopping temporary, stop a"},
		}},
		{"a child that stops is forgotten", Config{}, false, "a", []line{
			{0, "gone a", "a running>stopped "},
			{0, "gone a", ""},
		}},
		{"a permanent one is spawned anew", two, false, "a:permanent", []line{
			{0, "gone a", "spawn a"},
			{0, "fail a", "restart a"},
			{0, "gone a", "a running>stopped , give-up a intensity"},
		}},
		{"one that cannot be spawned failed", two, false, "a:permanent", []line{
			{0, "gone a", "spawn a"},
			{0, "unspawned a", "spawn a"},
			{0, "unspawned a", "a running>stopped , give-up a intensity"},
		}},
		{"a permanent one that is dismissed stays away", Config{}, false, "a:permanent", []line{
			{0, "dismiss a", "a running>stopping dismissed, stop a"},
			{0, "gone a", "a stopping>stopped dismissed"},
			{0, "dismiss a", "no"},
		}},
		{"one that retires stays away as well", Config{}, false, "a:permanent b:permanent", []line{
			{0, "retire a", ""},
			{0, "gone a", "a running>stopped "},
			{0, "retire a", "no"},
			{0, "retire b", ""},
			{0, "fail b", "b running>stopping temporary, stop b"},
		}},
		{"and is told to stop if it could not by itself", Config{Quarantine: QuarantineConfig{Failures: 1}}, false, "a:permanent", []line{
			{0, "fail a", "restart a"},
			{0, "fail a", "a running>quarantined too-often"},
			{0, "retire a", "a quarantined>stopping dismissed, stop a"},
			{0, "gone a", "a stopping>stopped dismissed"},
		}},
		{"one that fails while it stops is told to stop again", Config{}, false, "a", []line{
			{0, "dismiss a", "a running>stopping dismissed, stop a"},
			{0, "fail a", "stop a"},
		}},
		{"nobody is restarted under a supervisor that leaves", Config{}, false, "a:permanent b", []line{
			{0, "leave", ""},
			{0, "gone a", "a running>stopped "},
			{0, "fail b", "b running>stopping stopping, stop b"},
			{0, "enter", ""},
			{0, "add c", ""},
			{0, "fail c", "restart c"},
		}},
		{"a child that nobody knows is nobody", Config{}, false, "a", []line{
			{0, "fail z", ""},
			{0, "passed z", ""},
			{0, "release z", "no"},
			{0, "release a", "no"},
		}},
		{"time does not run backwards", two, false, "a", []line{
			{100, "fail a", "restart a"},
			{0, "fail a", "restart a"},
			{200, "fail a", "a running>stopping intensity, stop a, give-up a intensity"},
		}},
	})
}

func TestBackoff(t *testing.T) {
	cfg := Config{Backoff: backoff.Config{Base: 100, Max: 400, ResetAfter: 1000, Jitter: backoff.NoJitter}, HoldFor: 200}
	play(t, []scene{
		{"each failure in a row waits longer, and never gives up", cfg, false, "a", []line{
			{0, "fail a", "a running>restarting backoff until 100"},
			{0, "wake", "100"},
			{99, "tick", ""},
			{100, "tick", "a restarting>running restarted, restart a"},
			{100, "wake", "never"},
			{100, "fail a", "a running>restarting backoff until 300"},
			{300, "tick", "a restarting>running restarted, restart a"},
			{300, "fail a", "a running>restarting backoff until 700"},
			{700, "tick", "a restarting>running restarted, restart a"},
			{1700, "fail a", "a running>restarting backoff until 1800"},
		}},
		{"a child has one restart pending, not two", cfg, false, "a", []line{
			{0, "fail a", "a running>restarting backoff until 100"},
			{50, "fail a", ""},
			{50, "wake", "100"},
			{100, "tick", "a restarting>running restarted, restart a"},
			{400, "tick", ""},
		}},
		{"and none once it is gone", cfg, false, "a", []line{
			{0, "fail a", "a running>restarting backoff until 100"},
			{50, "gone a", "a restarting>stopped backoff"},
			{50, "wake", "never"},
			{100, "tick", ""},
		}},
		{"or told to stop", cfg, false, "a", []line{
			{0, "fail a", "a running>restarting backoff until 100"},
			{50, "dismiss a", "a restarting>stopping dismissed, stop a"},
			{100, "tick", ""},
		}},
		{"or its supervisor leaves", cfg, false, "a b", []line{
			{0, "fail a", "a running>restarting backoff until 100"},
			{50, "leave", "a restarting>stopping stopping, stop a"},
			{100, "tick", ""},
		}},
		{"who waits for longer than messages do refuses them", cfg, true, "a", []line{
			{0, "fail a", "a running>restarting backoff until 100"},
			{100, "tick", "a restarting>running restarted, restart a"},
			{100, "fail a", "a running>restarting backoff until 300"},
			{300, "tick", "a restarting>running restarted, restart a"},
			{300, "fail a", "a running>restarting backoff until 700, shut a until 700"},
			{700, "tick", "a restarting>running restarted, open a, restart a"},
		}},
		{"or always", Config{Backoff: cfg.Backoff, HoldFor: NoHold}, true, "a", []line{
			{0, "fail a", "a running>restarting backoff until 100, shut a until 100"},
		}},
		{"or never", Config{Backoff: backoff.Config{Base: time.Hour}, HoldFor: Hold}, true, "a", []line{
			{0, "fail a", "a running>restarting backoff until 3600000000000"},
		}},
		{"each child waits for itself", cfg, false, "a b", []line{
			{0, "fail a", "a running>restarting backoff until 100"},
			{50, "fail b", "b running>restarting backoff until 150"},
			{100, "tick", "a restarting>running restarted, restart a"},
			{100, "wake", "150"},
			{150, "tick", "b restarting>running restarted, restart b"},
		}},
		{"released, it does not wait, and its past is forgotten", cfg, false, "a", []line{
			{0, "fail a", "a running>restarting backoff until 100"},
			{100, "tick", "a restarting>running restarted, restart a"},
			{100, "fail a", "a running>restarting backoff until 300"},
			{101, "release a", "a restarting>running released, restart a"},
			{101, "wake", "never"},
			{102, "fail a", "a running>restarting backoff until 202"},
		}},
		{"a permanent child that stops waits too", cfg, true, "a:permanent", []line{
			{0, "gone a", "a running>restarting backoff until 100"},
			{100, "tick", "a restarting>running restarted, spawn a"},
			{100, "gone a", "a running>restarting backoff until 300"},
			{150, "gone a", ""},
			{300, "tick", "a restarting>running restarted, spawn a"},
		}},
		{"and one that is stopped while it waits is spawned", cfg, false, "a:permanent", []line{
			{0, "fail a", "a running>restarting backoff until 100"},
			{50, "gone a", ""},
			{100, "tick", "a restarting>running restarted, spawn a"},
		}},
		{"the intensity bounds what backoff would not", Config{
			Backoff: cfg.Backoff, Intensity: intensity.Config{Restarts: 1, Period: 1000},
		}, false, "a", []line{
			{0, "fail a", "a running>restarting backoff until 100"},
			{100, "tick", "a restarting>running restarted, restart a"},
			{1000, "fail a", "a running>stopping intensity, stop a, give-up a intensity"},
		}},
	})
}

func TestGroupScopes(t *testing.T) {
	slow := backoff.Config{Base: 100, Factor: 2, Max: 400, ResetAfter: 1000, Jitter: backoff.NoJitter}
	play(t, []scene{
		{"one for all restarts all, in the order that they were spawned", Config{Scope: All}, false, "a b c", []line{
			{0, "fail b", "settle 1, restart a, restart b, restart c"},
		}},
		{"rest for one, it and those after it", Config{Scope: Rest}, false, "a b c", []line{
			{0, "fail b", "settle 1, restart b, restart c"},
			{0, "fail c", ""},
			{0, "settled 1", ""},
			{0, "fail c", "restart c"},
		}},
		{"spawn order survives those who are gone", Config{Scope: Rest}, false, "a b c d", []line{
			{0, "gone b", "b running>stopped "},
			{0, "fail c", "settle 1, restart c, restart d"},
			{0, "add e", ""},
			{0, "settled 1", ""},
			{0, "fail d", "settle 2, restart d, restart e"},
		}},
		{"one restart of all counts once", Config{Scope: All, Intensity: intensity.Config{Restarts: 2, Period: 100}}, false, "a b c", []line{
			{0, "fail a", "settle 1, restart a, restart b, restart c"},
			{1, "settled 1", ""},
			{1, "fail b", "settle 2, restart a, restart b, restart c"},
			{2, "settled 2", ""},
			{
				2, "fail c", "c running>stopping intensity, stop c, b running>stopping intensity, stop b, " +
					"a running>stopping intensity, stop a, give-up c intensity",
			},
		}},
		{"siblings that failed before they saw the restart are not restarted once more", Config{Scope: All}, false, "a b", []line{
			{0, "fail a", "settle 1, restart a, restart b"},
			{0, "fail b", ""},
			{0, "settled 1", ""},
			{0, "fail b", "settle 2, restart a, restart b"},
		}},
		{"the one that failed is known to be new", Config{Scope: All}, false, "a b", []line{
			{0, "fail a", "settle 1, restart a, restart b"},
			{0, "fail a", "settle 2, restart a, restart b"},
		}},
		{"siblings are suspended while it waits", Config{Scope: Rest, Backoff: slow}, false, "a b c", []line{
			{0, "fail b", "b running>restarting backoff until 100, suspend c, c running>suspended sibling"},
			{10, "fail c", ""}, // it failed before it was suspended
			{100, "tick", "settle 1, b restarting>running restarted, restart b, c suspended>running restarted, restart c"},
		}},
		{"where two wait, who both take along waits for both", Config{Scope: Rest, Backoff: slow}, false, "a b c d", []line{
			{0, "fail c", "c running>restarting backoff until 100, suspend d, d running>suspended sibling"},
			{50, "fail b", "b running>restarting backoff until 150"},
			{100, "tick", "c restarting>suspended sibling"},
			{
				150, "tick", "settle 1, b restarting>running restarted, restart b, c suspended>running restarted, restart c, " +
					"d suspended>running restarted, restart d",
			},
		}},
		{"and who only the first takes along does not", Config{Scope: Rest, Backoff: slow}, false, "a b c d", []line{
			{0, "fail a", "a running>restarting backoff until 100, suspend b, b running>suspended sibling, suspend c, c running>suspended sibling, suspend d, d running>suspended sibling"},
			{100, "tick", "settle 1, a restarting>running restarted, restart a, b suspended>running restarted, restart b, c suspended>running restarted, restart c, d suspended>running restarted, restart d"},
			{100, "settled 1", ""},
			{100, "fail c", "c running>restarting backoff until 200, suspend d, d running>suspended sibling"},
			{150, "fail a", "a running>restarting backoff until 350, suspend b, b running>suspended sibling"},
			{200, "tick", "c restarting>suspended sibling"},
			{
				350, "tick", "settle 2, a restarting>running restarted, restart a, b suspended>running restarted, restart b, " +
					"c suspended>running restarted, restart c, d suspended>running restarted, restart d",
			},
		}},
		{"who waits later in line holds nobody before it", Config{Scope: Rest, Backoff: slow}, false, "a b", []line{
			{0, "fail b", "b running>restarting backoff until 100"},
			{100, "tick", "b restarting>running restarted, restart b"},
			{100, "fail b", "b running>restarting backoff until 300"},
			{150, "fail a", "a running>restarting backoff until 250"},
			{250, "tick", "a restarting>running restarted, restart a"},
			{300, "tick", "b restarting>running restarted, restart b"},
		}},
		{"who was spawned meanwhile is held back with the others", Config{Scope: Rest, Backoff: slow}, false, "a b c", []line{
			{0, "fail c", "c running>restarting backoff until 100"},
			{50, "fail a", "a running>restarting backoff until 150, suspend b, b running>suspended sibling"},
			{60, "add d", ""},
			{100, "tick", "c restarting>suspended sibling, suspend d, d running>suspended sibling"},
		}},
		{"under one for all, whoever waits holds back all", Config{Scope: All, Backoff: slow}, false, "a b", []line{
			{0, "fail b", "b running>restarting backoff until 100, suspend a, a running>suspended sibling"},
			{10, "add c", ""},
			{50, "fail c", "c running>restarting backoff until 150"},
			{100, "tick", "b restarting>suspended sibling"},
			{150, "tick", "settle 1, a suspended>running restarted, restart a, b suspended>running restarted, restart b, c restarting>running restarted, restart c"},
		}},
		{"giving up restarts nobody whom another held back", Config{Scope: All, Backoff: slow}, false, "a b c", []line{
			{0, "fail c", "c running>restarting backoff until 100, suspend a, a running>suspended sibling, suspend b, b running>suspended sibling"},
			{
				1, "fail a escalate", "c restarting>stopping decided, stop c, b suspended>stopping decided, stop b, " +
					"a suspended>stopping decided, stop a, give-up a decided",
			},
		}},
		{"nor stops who is stopping", Config{Scope: All}, false, "a b", []line{
			{0, "dismiss b", "b running>stopping dismissed, stop b"},
			{0, "fail a escalate", "a running>stopping decided, stop a, give-up a decided"},
		}},
		{"a supervisor that leaves restarts nobody either", Config{Scope: All, Backoff: slow}, false, "a b", []line{
			{0, "fail a", "a running>restarting backoff until 100, suspend b, b running>suspended sibling"},
			{1, "leave", "a restarting>stopping stopping, stop a, b suspended>stopping stopping, stop b"},
		}},
		{"siblings hold messages for as long as it does", Config{Scope: All, Backoff: slow, HoldFor: 150}, true, "a b", []line{
			{0, "fail b", "b running>restarting backoff until 100, suspend a, a running>suspended sibling"},
			{100, "tick", "settle 1, a suspended>running restarted, restart a, b restarting>running restarted, restart b"},
			{100, "settled 1", ""},
			{100, "fail a", "a running>restarting backoff until 200, suspend b, b running>suspended sibling"},
			{200, "tick", "settle 2, a restarting>running restarted, restart a, b suspended>running restarted, restart b"},
			{200, "settled 2", ""},
			{200, "fail a", "a running>restarting backoff until 400, shut a until 400, suspend b, b running>suspended sibling, shut b until 400"},
		}},
		{"a permanent sibling that stops takes the others along", Config{Scope: All}, false, "a:permanent b", []line{
			{0, "gone a", "settle 1, spawn a, restart b"},
		}},
		{"who waits and is gone frees those whom it took along", Config{Scope: All, Backoff: slow}, false, "a b", []line{
			{0, "fail a", "a running>restarting backoff until 100, suspend b, b running>suspended sibling"},
			{50, "gone a", "a restarting>stopped backoff, settle 1, b suspended>running restarted, restart b"},
		}},
		{"a verdict to stop takes nobody along", Config{Scope: All}, false, "a b", []line{
			{0, "fail a stop", "a running>stopping decided, stop a"},
			{0, "fail b", "restart b"},
		}},
		{"giving up stops who waits, and restarts nobody", Config{Scope: All, Backoff: slow}, false, "a b c", []line{
			{0, "fail a", "a running>restarting backoff until 100, suspend b, b running>suspended sibling, suspend c, c running>suspended sibling"},
			{
				1, "fail b escalate", "c suspended>stopping decided, stop c, b suspended>stopping decided, stop b, " +
					"a restarting>stopping decided, stop a, give-up b decided",
			},
			{1, "wake", "never"},
		}},
		{"a temporary sibling is restarted with the others, but not for itself", Config{Scope: All}, false, "a b:temporary", []line{
			{0, "fail a", "settle 1, restart a, restart b"},
			{0, "fail b", "b running>stopping temporary, stop b"},
		}},
		{"who is being stopped is not restarted", Config{Scope: All}, false, "a b c", []line{
			{0, "dismiss b", "b running>stopping dismissed, stop b"},
			{0, "fail a", "settle 1, restart a, restart c"},
		}},
		{"nobody but itself to restart settles nothing", Config{Scope: All}, false, "a", []line{
			{0, "fail a", "restart a"},
		}},
		{"siblings whose mailbox has a gate refuse as well", Config{Scope: All, Backoff: slow, HoldFor: NoHold}, true, "a b", []line{
			{0, "fail b", "b running>restarting backoff until 100, shut b until 100, suspend a, a running>suspended sibling"},
			{100, "tick", "settle 1, a suspended>running restarted, restart a, b restarting>running restarted, open b, restart b"},
			{100, "settled 1", ""},
			{
				100, "fail a", "a running>restarting backoff until 200, shut a until 200, suspend b, b running>suspended sibling, shut b until 200",
			},
			{200, "tick", "settle 2, a restarting>running restarted, open a, restart a, b suspended>running restarted, open b, restart b"},
		}},
	})
}

func TestBreaker(t *testing.T) {
	cfg := Config{Breaker: BreakerConfig{
		Intensity: 1, Period: 100, OpenFor: 1000, OpenFactor: 2, Probes: 3, ProbeFor: 50,
	}}
	play(t, []scene{
		{"a child that keeps failing is opened, tried, and closed", cfg, true, "a", []line{
			{0, "fail a", "restart a"},
			{100, "fail a", "a running>open too-often until 1100, shut a until 1100"},
			{200, "fail a", ""},
			{1100, "tick", "a open>half-open probe, probe a 3, restart a"},
			{1100, "wake", "never"}, // until it has had its messages
			{9999, "passed a", "a half-open>running probe-passed"},
			{9999, "fail a", "restart a"}, // its past is forgotten
			{9999, "fail a", "a running>open too-often until 10999, shut a until 10999"},
		}},
		{"failing its trial opens it for longer", cfg, true, "a", []line{
			{0, "fail a", "restart a"},
			{0, "fail a", "a running>open too-often until 1000, shut a until 1000"},
			{1000, "tick", "a open>half-open probe, probe a 3, restart a"},
			{1001, "fail a", "a half-open>open probe-failed until 3001, shut a until 3001"},
			{3001, "tick", "a open>half-open probe, probe a 3, restart a"},
			{3001, "passed a", "a half-open>running probe-passed"},
			{3001, "passed a", ""},
		}},
		{"without a gate, it closes when it was quiet", cfg, false, "a", []line{
			{0, "fail a", "restart a"},
			{0, "fail a", "a running>open too-often until 1000"},
			{1000, "tick", "a open>half-open probe until 1050, restart a"},
			{1049, "tick", ""},
			{1050, "tick", "a half-open>running quiet"},
			{1050, "wake", "never"},
		}},
		{"or opens when it was not", cfg, false, "a", []line{
			{0, "fail a", "restart a"},
			{0, "fail a", "a running>open too-often until 1000"},
			{1000, "tick", "a open>half-open probe until 1050, restart a"},
			{1049, "fail a", "a half-open>open probe-failed until 3049"},
			{1050, "tick", ""},
		}},
		{"a trial is not passed by resuming", cfg, true, "a", []line{
			{0, "fail a", "restart a"},
			{0, "fail a", "a running>open too-often until 1000, shut a until 1000"},
			{1000, "tick", "a open>half-open probe, probe a 3, restart a"},
			{1000, "fail a resume", "a half-open>open probe-failed until 3000, shut a until 3000"},
		}},
		{"but may be ended", cfg, true, "a", []line{
			{0, "fail a", "restart a"},
			{0, "fail a", "a running>open too-often until 1000, shut a until 1000"},
			{1000, "tick", "a open>half-open probe, probe a 3, restart a"},
			{1000, "fail a stop", "a half-open>stopping decided, stop a"},
		}},
		{"it opens for each child on its own", cfg, true, "a b", []line{
			{0, "fail a", "restart a"},
			{0, "fail b", "restart b"},
			{0, "fail a", "a running>open too-often until 1000, shut a until 1000"},
			{100, "fail b", "b running>open too-often until 1100, shut b until 1100"},
		}},
		{"released, it is closed", cfg, true, "a", []line{
			{0, "fail a", "restart a"},
			{0, "fail a", "a running>open too-often until 1000, shut a until 1000"},
			{1, "release a", "a open>running released, open a, restart a"},
			{1, "fail a", "restart a"},
			{1, "fail a", "a running>open too-often until 1001, shut a until 1001"},
		}},
		{"under one for all, siblings wait for its trial", Config{Scope: All, Breaker: cfg.Breaker}, true, "a b", []line{
			{0, "fail a", "settle 1, restart a, restart b"},
			{0, "settled 1", ""},
			{0, "fail a", "a running>open too-often until 1000, shut a until 1000, suspend b, b running>suspended sibling"},
			{1000, "tick", "settle 2, a open>half-open probe, probe a 3, restart a, b suspended>running restarted, restart b"},
			{1000, "settled 2", ""},
			{1001, "fail b", "settle 3, a half-open>half-open probe, probe a 3, restart a, restart b"},
			{1002, "passed a 1", ""}, // the first, which was over when its end was heard of
			{1003, "passed a 2", "a half-open>running probe-passed"},
		}},
		{"without a gate, a trial that a sibling ends begins again", Config{Scope: All, Breaker: cfg.Breaker}, false, "a b", []line{
			{0, "fail a", "settle 1, restart a, restart b"},
			{0, "settled 1", ""},
			{0, "fail a", "a running>open too-often until 1000, suspend b, b running>suspended sibling"},
			{1000, "tick", "settle 2, a open>half-open probe until 1050, restart a, b suspended>running restarted, restart b"},
			{1000, "settled 2", ""},
			{1001, "fail b", "settle 3, a half-open>half-open probe until 1051, restart a, restart b"},
			{1001, "settled 3", ""},
			{1002, "fail b", "b running>open too-often until 2002, suspend a, a half-open>suspended sibling"},
			{1051, "tick", ""},
			{2002, "tick", "settle 4, a suspended>half-open probe until 2052, restart a, b open>half-open probe until 2052, restart b"},
			{2052, "tick", "b half-open>running quiet, a half-open>running quiet"},
		}},
		{"a permanent child is tried by spawning it", cfg, true, "a:permanent", []line{
			{0, "fail a", "restart a"},
			{0, "gone a", "a running>open too-often until 1000"},
			{1000, "tick", "a open>half-open probe, spawn a, probe a 3"},
		}},
		{"with backoff, failures that do not open wait", Config{
			Breaker: cfg.Breaker, Backoff: backoff.Config{Base: 10, Jitter: backoff.NoJitter},
		}, true, "a", []line{
			{0, "fail a", "a running>restarting backoff until 10"},
			{10, "tick", "a restarting>running restarted, restart a"},
			{10, "fail a", "a running>open too-often until 1010, shut a until 1010"},
		}},
	})
}

func TestQuarantine(t *testing.T) {
	cfg := Config{Quarantine: QuarantineConfig{Failures: 2, Period: 1000}}
	play(t, []scene{
		{"a child that failed too often is parked until it is released", cfg, true, "a b", []line{
			{0, "fail a", "restart a"},
			{1, "fail a", "restart a"},
			{2, "fail b", "restart b"},
			{1000, "fail a", "a running>quarantined too-often, shut a"},
			{1000, "wake", "never"},
			{5000, "tick", ""},
			{5000, "release a", "a quarantined>running released, open a, restart a"},
			{5000, "release a", "no"},
			{5001, "fail a", "restart a"},
			{5002, "fail a", "restart a"},
			{5003, "fail a", "a running>quarantined too-often, shut a"},
		}},
		{"or stopped", cfg, false, "a", []line{
			{0, "fail a", "restart a"},
			{0, "fail a", "restart a"},
			{0, "fail a", "a running>quarantined too-often"},
			{0, "dismiss a", "a quarantined>stopping dismissed, stop a"},
		}},
		{"failed trials count", Config{
			Breaker: BreakerConfig{Intensity: 1, Period: 10, OpenFor: 100}, Quarantine: cfg.Quarantine,
		}, true, "a", []line{
			{0, "fail a", "restart a"},
			{0, "fail a", "a running>open too-often until 100, shut a until 100"},
			{100, "tick", "a open>half-open probe, probe a 1, restart a"},
			{100, "fail a", "a half-open>quarantined too-often, shut a"},
			{101, "release a", "a quarantined>running released, open a, restart a"},
			{101, "fail a", "restart a"},
		}},
		{"under one for all, all are parked", Config{Scope: All, Quarantine: cfg.Quarantine}, false, "a b", []line{
			{0, "fail a", "settle 1, restart a, restart b"},
			{0, "fail a", "settle 2, restart a, restart b"},
			{0, "fail a", "a running>quarantined too-often, suspend b, b running>suspended sibling"},
			{1, "release a", "settle 3, a quarantined>running released, restart a, b suspended>running restarted, restart b"},
		}},
	})
}

func TestBudget(t *testing.T) {
	cfg := Config{Budget: budget.Config{Burst: 2, Every: 100}, HoldFor: 150}
	play(t, []scene{
		{"who finds the budget empty waits, in order", cfg, true, "a b c d", []line{
			{0, "fail a", "restart a"},
			{0, "fail b", "restart b"},
			{0, "fail d", "d running>restarting budget until 100"},
			{0, "fail c", "c running>restarting budget until 200, shut c until 200"},
			{0, "wake", "100"},
			{100, "tick", "d restarting>running restarted, restart d"},
			{100, "wake", "200"},
			{200, "tick", "c restarting>running restarted, open c, restart c"},
			{200, "wake", "never"},
		}},
		{"who has waited for something else longer comes first", Config{
			Budget:  budget.Config{Burst: 1, Every: 100},
			Breaker: BreakerConfig{Intensity: 1, Period: 50, OpenFor: 150},
		}, false, "a b", []line{
			{0, "fail a", "restart a"},
			{0, "fail a", "a running>open too-often until 150"},
			{140, "fail b", "restart b"},
			{141, "fail b", "b running>open too-often until 291"},
			{141, "release b", "b open>restarting budget until 240"},
			{150, "tick", "a open>restarting budget until 340"},
			{240, "tick", "a restarting>half-open probe until 10000000240, restart a"},
			{340, "tick", "b restarting>running restarted, restart b"},
		}},
		{"a place in the queue that is given up is the next one's", cfg, false, "a b c d", []line{
			{0, "fail a", "restart a"},
			{0, "fail b", "restart b"},
			{0, "fail c", "c running>restarting budget until 100"},
			{0, "fail d", "d running>restarting budget until 200"},
			{50, "dismiss c", "c restarting>stopping dismissed, stop c"},
			{100, "tick", "d restarting>running restarted, restart d"},
		}},
		{"and of the last one, nobody's", cfg, false, "a", []line{
			{0, "fail a", "restart a"},
			{0, "fail a", "restart a"},
			{0, "fail a", "a running>restarting budget until 100"},
			{50, "gone a", "a restarting>stopped budget"},
			{50, "wake", "never"},
		}},
		{"a restart of all takes one", Config{Scope: All, Budget: cfg.Budget}, false, "a b", []line{
			{0, "fail a", "settle 1, restart a, restart b"},
			{0, "settled 1", ""},
			{0, "fail a", "settle 2, restart a, restart b"},
			{0, "settled 2", ""},
			{0, "fail b", "b running>restarting budget until 100, suspend a, a running>suspended sibling"},
			{100, "tick", "settle 3, a suspended>running restarted, restart a, b restarting>running restarted, restart b"},
		}},
	})
}

func TestCorrelatedFailures(t *testing.T) {
	cfg := Config{Correlated: CorrelatedConfig{Share: 0.5, Within: 100, MinFailed: 3, OpenFor: 1000, OpenFactor: 3, ProbeFor: 50}}
	opening := []line{
		{0, "fail a", "restart a"},
		{50, "fail b", "restart b"},
		{100, "fail c", "group running>open correlated until 1100, c running>open correlated until 1100, shut c until 1100"},
		{200, "fail d", "d running>open correlated until 1100, shut d until 1100"},
		{200, "wake", "1100"},
		{1100, "tick", "group open>half-open probe, c open>half-open probe until 1150, probe c 1, restart c"},
	}
	with := func(more ...line) []line { return append(append([]line{}, opening...), more...) }
	play(t, []scene{
		{"too many that fail wait together, and one is tried", cfg, true, "a b c d e", with(
			line{1101, "passed c", "c half-open>running probe-passed, group half-open>running probe-passed, d open>running restarted, open d, restart d"},
			line{1101, "wake", "never"},
			line{1101, "fail a", "restart a"}, // the past is forgotten
			line{1101, "fail b", "restart b"},
		)},
		{"one that is quiet has passed", cfg, true, "a b c d e", with(
			line{1150, "tick", "c half-open>running quiet, open c, group half-open>running quiet, d open>running restarted, open d, restart d"},
			line{1150, "fail c", "restart c"},
		)},
		{"one that fails opens again, for longer", cfg, true, "a b c d e", with(
			line{1101, "fail c", "group half-open>open probe-failed until 4101, shut d until 4101, c half-open>open correlated until 4101, shut c until 4101"},
			line{4101, "tick", "group open>half-open probe, d open>half-open probe until 4151, probe d 1, restart d"},
		)},
		{"others that fail meanwhile wait too", cfg, true, "a b c d e", with(
			line{1101, "fail e", "e running>open correlated, shut e"},
			line{1102, "passed c", "c half-open>running probe-passed, group half-open>running probe-passed, " +
				"d open>running restarted, open d, restart d, e open>running restarted, open e, restart e"},
		)},
		{"if the one is gone, the next is tried", cfg, true, "a b c d e", with(
			line{1101, "gone c", "c half-open>stopped probe, d open>half-open probe until 1151, probe d 1, restart d"},
			line{1102, "gone d", "d half-open>stopped probe, group half-open>running quiet"},
		)},
		{"one that waits can be released", cfg, true, "a b c d e", with(
			line{1101, "release d", "d open>running released, open d, restart d"},
			line{1102, "release c", "no"},
		)},
		{"nobody left to try closes", cfg, true, "a b c", []line{
			{0, "fail a", "restart a"},
			{0, "fail b", "restart b"},
			{0, "fail c", "group running>open correlated until 1000, c running>open correlated until 1000, shut c until 1000"},
			{0, "gone c", "c open>stopped correlated"},
			{1000, "tick", "group open>half-open probe, group half-open>running quiet"},
		}},
		{"failures count for exactly as long as they do", cfg, true, "a b c d e", []line{
			{0, "fail a", "restart a"},
			{50, "fail b", "restart b"},
			{101, "fail c", "restart c"},
			{151, "fail a", "restart a"}, // and b is forgotten
			{151, "fail b", "group running>open correlated until 1151, b running>open correlated until 1151, shut b until 1151"},
		}},
		{"a child that fails twice is one", cfg, true, "a b c d e", []line{
			{0, "fail a", "restart a"},
			{0, "fail a", "restart a"},
			{0, "fail a", "restart a"},
			{0, "fail b", "restart b"},
		}},
		{"half are not more than half", cfg, true, "a b c d e f", []line{
			{0, "fail a", "restart a"},
			{0, "fail b", "restart b"},
			{0, "fail c", "restart c"},
			{0, "fail d", "group running>open correlated until 1000, d running>open correlated until 1000, shut d until 1000"},
		}},
		{"who waits for a restart of its own joins", Config{
			Correlated: cfg.Correlated, Backoff: backoff.Config{Base: 10, Jitter: backoff.NoJitter},
		}, false, "a b c", []line{
			{0, "fail a", "a running>restarting backoff until 10"},
			{0, "fail b", "b running>restarting backoff until 10"},
			{
				5, "fail c", "group running>open correlated until 1005, a restarting>open correlated until 1005, " +
					"b restarting>open correlated until 1005, c running>open correlated until 1005",
			},
			{10, "tick", ""},
			{1005, "tick", "group open>half-open probe, a open>half-open probe until 1055, restart a"},
			{1055, "tick", "a half-open>running quiet, group half-open>running quiet, b open>running restarted, restart b, c open>running restarted, restart c"},
		}},
		{"with a budget, those who waited come back one by one", Config{
			Correlated: cfg.Correlated, Budget: budget.Config{Burst: 1, Every: 100},
		}, false, "a b c d e", []line{
			{0, "fail a", "restart a"},
			{0, "fail b", "b running>restarting budget until 100"},
			{
				0, "fail c", "group running>open correlated until 1000, b restarting>open correlated until 1000, " +
					"c running>open correlated until 1000",
			},
			{0, "wake", "1000"},
			{1000, "tick", "group open>half-open probe, b open>half-open probe until 1050, restart b"},
			{1050, "tick", "b half-open>running quiet, group half-open>running quiet, c open>restarting budget until 1100"},
			{1100, "tick", "c restarting>running restarted, restart c"},
		}},
		{"one that is parked leaves", Config{
			Correlated: cfg.Correlated, Quarantine: QuarantineConfig{Failures: 1, Period: 10_000},
		}, false, "a b c d e", []line{
			{0, "fail a", "restart a"},
			{0, "fail b", "restart b"},
			{0, "fail c", "group running>open correlated until 1000, c running>open correlated until 1000"},
			{0, "fail d", "d running>open correlated until 1000"},
			{1000, "tick", "group open>half-open probe, c open>half-open probe until 1050, restart c"},
			{1001, "fail c", "d open>half-open probe until 1051, restart d, c half-open>quarantined too-often"},
		}},
		{"a permanent one is spawned to try it", cfg, true, "a b c:permanent", []line{
			{0, "fail c", "restart c"},
			{0, "fail a", "restart a"},
			{0, "fail b", "group running>open correlated until 1000, b running>open correlated until 1000, shut b until 1000"},
			{1, "dismiss b", "b open>stopping dismissed, stop b"},
			{1, "gone c", "c running>open correlated until 1000"},
			{1000, "tick", "group open>half-open probe, c open>half-open probe until 1050, spawn c, probe c 1"},
			{1050, "tick", "c half-open>running quiet, open c, group half-open>running quiet"},
		}},
		{"a supervisor that leaves tries nobody", cfg, true, "a b c d e", with(
			line{1101, "leave", "d open>stopping stopping, stop d"},
			line{1102, "gone c", "c half-open>stopped probe"},
			line{1103, "enter", "group half-open>running quiet"},
		)},
	})
}
