package wirecut

import (
	"net"
	"time"
)

// Far listens on a free port of this host and passes connections on to target, host:port, as a network would in which each way takes that
// long. It returns the address where it listens, and what ends that.
func Far(target string, way time.Duration) (address string, end func() error, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer near.Close()
				far, err := net.Dial("tcp", target)
				if err != nil {
					return
				}
				defer far.Close()
				go carry(near, far, way)
				carry(far, near, way)
			}()
		}
	}()
	return listener.Addr().String(), listener.Close, nil
}

// parcel is what was read at once, and when it arrives.
type parcel struct {
	bytes []byte
	at    time.Time
}

// carry passes on what is read from one side until either has gone. What is under way holds up nothing that is read behind it.
func carry(from, to net.Conn, way time.Duration) {
	parcels := make(chan parcel, 1000)
	go func() {
		defer close(parcels)
		for {
			bytes := make([]byte, 64<<10)
			n, err := from.Read(bytes)
			if n > 0 {
				parcels <- parcel{bytes[:n], time.Now().Add(way)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range parcels {
		time.Sleep(time.Until(p.at))
		if _, err := to.Write(p.bytes); err != nil {
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
	for range parcels { // so that the reader ends
	}
}
