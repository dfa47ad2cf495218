package redislimiter

// debts are what each of some keys is to be charged with, whoever owed first first.
type debts struct {
	sums map[string]int64
	keys fifo[string]
}

func newDebts() debts { return debts{sums: make(map[string]int64)} }

func (d *debts) len() int { return len(d.sums) }

// of returns what a key owes, and whether it is known to.
func (d *debts) of(key string) (n int64, known bool) {
	n, known = d.sums[key]
	return n, known
}

func (d *debts) set(key string, n int64) {
	if _, known := d.sums[key]; !known {
		d.keys.push(key)
	}
	d.sums[key] = n
}

// pop takes the first one. There must be one.
func (d *debts) pop() (key string, n int64) {
	key = d.keys.pop()
	n = d.sums[key]
	delete(d.sums, key)
	return key, n
}
