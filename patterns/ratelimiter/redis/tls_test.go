package redislimiter_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/internal/redistest"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter/redis/internal/store"
)

// certify makes a certificate for 127.0.0.1, signed by itself, and returns the files of it and
// of its key.
func certify(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a Redis of a test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", pkcs8)
}

// Whoever answers may not be our Redis: no policy lets anybody pass because of it.
func TestARedisThatIsNotTrustedIsNotAnOutage(t *testing.T) {
	cert, key := certify(t) // which nobody knows
	l, events := spawn(t, redislimiter.Config{
		Rate: threeAMinute(), URL: "rediss://" + redistest.StartTLS(t, cert, key).TLSAddr(), Timeout: unhurried, OnOutage: redislimiter.FailOpen, Failures: 1,
	})
	if err := l.Wait(t.Context(), "k"); !errors.Is(err, redislimiter.ErrStore) {
		t.Errorf("it is refused: got %v", err)
	}
	e := told[redislimiter.StoreRefused](t, events)
	if fault, ok := errors.AsType[*store.Fault](e.Err); !ok || fault.Class != store.Untrusted {
		t.Errorf("the event says why: got %v", e.Err)
	}
}
