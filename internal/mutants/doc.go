// Package mutants plants bugs and requires that each of them is found: those in the core by its properties, those in the shell, the
// stores, their SQL and the River adapter by the tests that stand beside them in the list. A rule that no bug can break is no
// rule: whoever writes one adds the bug that it is there for.
package mutants
