// Package jsontype describes JSON as far as Go types tell, and checks values against that.
//
// [AsWritten] describes what encoding/json makes of a Go type, [AsRead] what it reads into one. [Parse] reads a value and keeps its
// numbers, the order of its keys and its text. [Type.Check] lists every place where a value is not of a type. Its time and memory
// are bounded, whatever somebody sends.
package jsontype
