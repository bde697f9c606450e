package director

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
)

// logLimit is how many operations of a pass are each told of: nobody reads more,
// and a start with thousands of services must not drown what else is logged.
const logLimit = 100

// logChanged tells what was changed for reasons of lvsd's own.
func (d *Director) logChanged(done []Op) {
	d.logOps(slog.LevelInfo, "changed", done, func(op Op) []any { return []any{"op", op.String()} })
}

// logRepaired tells what somebody else had changed and was put right.
func (d *Director) logRepaired(done []Op, have State) {
	d.logOps(slog.LevelWarn, "repaired what somebody else changed", done, func(op Op) []any {
		return []any{"found", found(have, op), "op", op.String()}
	})
	if len(done) > 0 {
		d.Record(repairEvent(done, have))
	}
}

// logOps tells of the first operations one by one and of the rest by their number,
// a line for each kind. At level debug there is a line for each all the same.
func (d *Director) logOps(level slog.Level, message string, ops []Op, arguments func(Op) []any) {
	ctx := context.Background()
	rest := ops[min(len(ops), logLimit):]
	for _, op := range ops[:len(ops)-len(rest)] {
		d.Log.Log(ctx, level, message, arguments(op)...)
	}
	if d.Log.Enabled(ctx, slog.LevelDebug) {
		for _, op := range rest {
			d.Log.Log(ctx, slog.LevelDebug, message, arguments(op)...)
		}
	}
	for _, kind := range kindsOf(rest) {
		d.Log.Log(ctx, level, message, "kind", kind.name, "more", kind.count)
	}
}

// opKind is a kind of operations and how many of it there are.
type opKind struct {
	name  string
	count int
}

// kindsOf are the kinds of the operations, in the order of their first ones.
func kindsOf(ops []Op) []opKind {
	var kinds []opKind
	places := map[reflect.Type]int{}
	for _, op := range ops {
		kind := reflect.TypeOf(op)
		place, known := places[kind]
		if !known {
			place = len(kinds)
			places[kind] = place
			_, name, _ := strings.Cut(fmt.Sprintf("%T", op), ".")
			kinds = append(kinds, opKind{name: name})
		}
		kinds[place].count++
	}
	return kinds
}
