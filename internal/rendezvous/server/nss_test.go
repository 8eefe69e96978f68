package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nssRequest asks through libcurl's NSS flavour, which is CentOS 7's curl, with the options that curl's command line
// would set: --tlsv1.2 --ciphers ecdhe_ecdsa_aes_128_gcm_sha_256 --cacert -H -d. It prints status and body.
const nssRequest = `
import ctypes, sys
url, ca, header_file, body = sys.argv[1:5]
curl = ctypes.CDLL("libcurl-nss.so.4")
curl.curl_easy_init.restype = ctypes.c_void_p
curl.curl_slist_append.restype = ctypes.c_void_p
curl.curl_slist_append.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
curl.curl_easy_perform.argtypes = [ctypes.c_void_p]
curl.curl_version.restype = ctypes.c_char_p
if b"NSS" not in curl.curl_version():
    sys.exit("this libcurl is no NSS one: " + curl.curl_version().decode())
handle = curl.curl_easy_init()
def text(option, value):
    if curl.curl_easy_setopt(ctypes.c_void_p(handle), option, ctypes.c_char_p(value)):
        sys.exit("option %d is refused" % option)
def number(option, value):
    curl.curl_easy_setopt(ctypes.c_void_p(handle), option, ctypes.c_long(value))
headers = None
for line in open(header_file):
    headers = curl.curl_slist_append(headers, line.strip().encode())
curl.curl_easy_setopt(ctypes.c_void_p(handle), 10023, ctypes.c_void_p(headers))
text(10002, url.encode()); text(10065, ca.encode()); text(10165, body.encode()); text(10083, b"ecdhe_ecdsa_aes_128_gcm_sha_256")
number(32, 6 | 6 << 16) # CentOS 7's curl 7.29 means exactly 1.2; later ones mean 1.2 or more
WRITE = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p)
got = []
def write(data, size, count, _):
    got.append(ctypes.string_at(data, size * count))
    return size * count
callback = WRITE(write)
curl.curl_easy_setopt(ctypes.c_void_p(handle), 20011, callback)
result = curl.curl_easy_perform(handle)
if result:
    sys.exit("curl: (%d)" % result)
status = ctypes.c_long()
curl.curl_easy_getinfo(ctypes.c_void_p(handle), 0x200002, ctypes.byref(status))
print(status.value, b"".join(got).decode())
`

// TestWorkerThroughNSS needs the packages libcurl3-nss, nss-plugin-pem and python3.
func TestWorkerThroughNSS(t *testing.T) {
	s := open(t)
	if _, err := netip.ParseAddrPort(s.address); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ask := func(bearer string) (string, error) {
		ca, header := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "header")
		err := errors.Join(os.WriteFile(ca, s.authority.Certificate(), 0o600),
			os.WriteFile(header, []byte("Authorization: Bearer "+bearer+"\nContent-Type: application/json\n"), 0o600))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, "python3", "-c", nssRequest, fmt.Sprintf("https://%s/v1/enrol", s.address), ca, header, claim).CombinedOutput()
		return string(out), err
	}
	if out, err := ask(s.grant("w1")); err != nil || !strings.HasPrefix(out, "200 token: ") {
		t.Errorf("a worker by NSS' curl: %v: %s", err, out)
	}
	if out, err := ask("forged.token"); err != nil || !strings.HasPrefix(out, "401 ") {
		t.Errorf("a forged grant by NSS' curl: %v: %s", err, out)
	}
}
