package squidmesh

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/squidmesh/squidmesh-go/internal/check"
	"github.com/squidmesh/squidmesh-go/internal/echo"
)

// Keyring is a [Codec] that encrypts with AES-256-GCM and authenticates the place of each value. It seals with its current key and
// opens with any of its keys. It is safe for concurrent use.
//
// To change keys, first give all processes the new key, and then make it the current one. Keep the old key for as long as somebody
// reads runs that were written with it. A key is good for four billion values.
type Keyring struct {
	current string
	keys    map[string]cipher.AEAD
}

// NewKeyring makes a keyring of keys by id. Each key is 32 random bytes, and none is all zeros or has two ids. An id has 1 to 64
// bytes of printable characters. It is stored beside what its key sealed, so it should tell nothing.
func NewKeyring(current string, keys map[string][]byte) (*Keyring, error) {
	r := &Keyring{current: current, keys: map[string]cipher.AEAD{}}
	ids := map[string]string{}
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		key := keys[id]
		if err := checkKeyID(id); err != nil {
			return nil, err
		}
		if len(key) != 32 {
			return nil, fmt.Errorf("key %q has %d bytes: AES-256 takes 32", id, len(key))
		}
		if other, twice := ids[string(key)]; twice {
			return nil, fmt.Errorf("keys %q and %q are the same: give one of them", other, id)
		}
		if string(key) == string(make([]byte, 32)) {
			return nil, fmt.Errorf("key %q is all zeros: give 32 random bytes", id)
		}
		ids[string(key)] = id
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", id, err)
		}
		if r.keys[id], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, fmt.Errorf("key %q: %w", id, err)
		}
	}
	if r.keys[current] == nil {
		return nil, fmt.Errorf("current key %s is not among the keys", echo.Quote(current))
	}
	return r, nil
}

const maxKeyID = 64

// checkKeyID checks an id that is to be stored and read again. What JSON would change could not be found any more.
func checkKeyID(id string) error {
	if id == "" {
		return &InputError{Field: "key id", Code: "required", Detail: "is empty"}
	}
	return check.Line("key id", id, maxKeyID)
}

// Seal implements [Codec].
func (r *Keyring) Seal(_ context.Context, place string, plain []byte) (string, []byte, error) {
	return r.current, r.keys[r.current].Seal(nil, nil, plain, []byte(place)), nil
}

var errNoKey = errors.New("key is not in the ring")

// Open implements [Codec].
func (r *Keyring) Open(_ context.Context, place, keyID string, sealed []byte) ([]byte, error) {
	key := r.keys[keyID]
	if key == nil {
		return nil, fmt.Errorf("%q: %w", keyID, errNoKey)
	}
	return key.Open(nil, nil, sealed, []byte(place))
}
