//go:build !linux

package wirecut

import (
	"errors"
	"net"
)

func dropPackets(*net.TCPConn) error { return errors.ErrUnsupported }
