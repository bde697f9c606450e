package ipvsadm

import "strconv"

// These append to a line what fmt would print: a table of 50,000 lines takes
// most of its time here.

// blanks is longer than any column.
const blanks = "                                        "

// pad fills up to the width what was appended since start.
func pad(b []byte, start, width int) []byte {
	if missing := start + width - len(b); missing > 0 {
		b = append(b, blanks[:missing]...)
	}
	return b
}

// cut keeps as much of what was appended since start.
func cut(b []byte, start, length int) []byte {
	return b[:min(len(b), start+length)]
}

// appendText appends a text to the left of its column.
func appendText(b []byte, text string, width int) []byte {
	return pad(append(b, text...), len(b), width)
}

// appendInt appends a number to the left of its column.
func appendInt(b []byte, n int64, width int) []byte {
	return pad(strconv.AppendInt(b, n, 10), len(b), width)
}

// appendUint appends a number to the left of its column.
func appendUint(b []byte, n uint64, width int) []byte {
	return pad(strconv.AppendUint(b, n, 10), len(b), width)
}

// appendRight appends a number to the right of its column.
func appendRight(b []byte, n uint64, width int) []byte {
	digits := 1
	for rest := n; rest >= 10; rest /= 10 {
		digits++
	}
	return strconv.AppendUint(pad(b, len(b), width-digits), n, 10)
}
