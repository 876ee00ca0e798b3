package wirecut

import (
	"net"
	"time"
)

// Way is what a connection that dies without a word loses.
type Way int

// The ways.
const (
	Both      Way = iota // what either side says
	Questions            // what the client says
	Answers              // what the server says
	Packets              // as Both, and the client's host gets no acknowledgement either; as Both where the system cannot do that
)

// Ways is how many there are.
const Ways = 4

// Silence is how connections die without a word.
type Silence struct {
	Way  Way
	Idle bool // only those on which the server waits for a question, outside any transaction
	Most int  // so many of them; 0 is all
}

// severedFor is after how long a server notices that the client's host answers nothing any more, as one does that is set up to look.
const severedFor = 5 * time.Second

// Silence has connections die without a word: what is said is swallowed, and whoever said it hears nothing of that. New ones work. It returns
// how many died.
func (p *Proxy) Silence(s Silence) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	silenced := 0
	for l := range p.links {
		if s.Most > 0 && silenced == s.Most {
			break
		}
		if s.Idle && !l.idle.Load() || l.noQuestions.Load() || l.noAnswers.Load() {
			continue
		}
		l.silence(s.Way)
		silenced++
	}
	p.hush.Add(int64(silenced))
	return silenced
}

// Silences is how many connections were silenced.
func (p *Proxy) Silences() int64 { return p.hush.Load() }

func (l *link) silence(way Way) {
	if tcp, ok := l.client.(*net.TCPConn); ok && way == Packets && dropPackets(tcp) == nil {
		l.severed.Store(true)
		time.AfterFunc(severedFor, func() { l.server.Close() })
	}
	if way != Answers {
		l.noQuestions.Store(true)
	}
	if way != Questions {
		l.noAnswers.Store(true)
	}
}
