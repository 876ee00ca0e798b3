package wirecut

import (
	"net"

	"golang.org/x/sys/unix"
)

// dropPackets has the kernel throw away whatever comes in on a connection, before it acknowledges it.
func dropPackets(conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	nothing := [1]unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}} // lets no byte pass
	var refused error
	err = raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]})
	})
	if err != nil {
		return err
	}
	return refused
}
