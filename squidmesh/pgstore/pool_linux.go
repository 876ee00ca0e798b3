package pgstore

import (
	"net"
	"syscall"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of linux/tcp.h, which package syscall lacks.
const tcpUserTimeout = 18

// limitUnacknowledged limits how long what was sent may stay unacknowledged. It is false if the program has set such a limit.
func limitUnacknowledged(conn *net.TCPConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return true
	}
	free := true
	_ = raw.Control(func(fd uintptr) {
		if set, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout); err == nil && set != 0 {
			free = false
			return
		}
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(silenceTimeout.Milliseconds()))
	})
	return free
}
