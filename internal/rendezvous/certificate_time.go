package rendezvous

import "time"

// certificateEpoch is a day after the moment at which the lives of all certificates of the rendezvous begin.
var certificateEpoch = time.Date(2000, 1, 2, 0, 0, 0, 0, time.UTC)

// CertificateTime is the time to judge certificates by. A machine's clock may be decades behind at first boot, and no
// certificate of the rendezvous is younger than the year 2000, so an earlier clock is only known to be wrong. A clock
// that is ahead is left alone: a certificate that ended must not come back to life.
func CertificateTime(now time.Time) time.Time {
	if now.Before(certificateEpoch) {
		return certificateEpoch
	}
	return now
}
