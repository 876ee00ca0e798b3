// Package mutants plants bugs in the core and requires that its properties find each of them. A rule that no bug can break is
// no rule: whoever writes one adds the bug that it is there for to the list.
package mutants
