package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
)

// The lines of lvsd top around the rows of the pane: two of the head, the tabs, the
// columns' titles, what is selected, and the foot.
const topFrame = 6

// selected is the colour of the selected row: the terminal's own, reversed.
const selected = "7"

// body is how many rows there is room for.
func (m *topModel) body() int { return max(1, m.height-topFrame) }

// View draws the screen.
func (m topModel) View() string {
	screen := []string{m.fit(m.head()), m.fit(m.roles()), m.tabs()}
	if m.explained != nil {
		screen = append(screen, m.paint(dim, m.fit("explanation; esc goes back")))
		screen = append(screen, m.filled(m.explanation())...)
	} else {
		screen = append(screen, m.paint(dim, m.line(m.titles())))
		screen = append(screen, m.filled(m.table())...)
	}
	return strings.Join(append(screen, m.fit(m.detail()), m.foot()), "\n")
}

// head is who is watched, and when.
func (m *topModel) head() string {
	s := m.last.status
	if s.Schema == "" && m.err == nil {
		return "lvsd top"
	}
	up, all := serversUp(s)
	text := fmt.Sprintf("%s  lvsd %s  up %s  %d of %d real servers up", s.RouterID, s.Version, ago(m.last.at, s.Started), up, all)
	if s.Maintenance != nil {
		text += "  IN MAINTENANCE"
	}
	return text + "  " + m.last.at.Local().Format(time.TimeOnly)
}

// roles are the instances in a line.
func (m *topModel) roles() string {
	var parts []string
	for _, i := range m.last.status.Instances {
		parts = append(parts, fmt.Sprintf("%s: %s", i.Name, strings.ToUpper(i.State)))
	}
	return strings.Join(parts, "  ")
}

// tabs names the panes; the one that is shown stands in brackets.
func (m *topModel) tabs() string {
	var parts []string
	for p := range topPanes {
		text := fmt.Sprintf(" %d %s ", p+1, p)
		if p == m.pane {
			text = fmt.Sprintf("[%d %s]", p+1, p)
		}
		parts = append(parts, text)
	}
	return m.paint(bold, m.fit(strings.Join(parts, " ")))
}

func (m *topModel) titles() []string {
	var titles []string
	for _, column := range m.pane.columns() {
		titles = append(titles, column.title)
	}
	return titles
}

// table are the rows in sight.
func (m *topModel) table() []string {
	rows := m.rows()
	if len(rows) == 0 {
		return []string{m.fit("nothing to show")}
	}
	var lines []string
	for i := m.offset; i < min(len(rows), m.offset+m.body()); i++ {
		color := rows[i].color
		if i == m.cursor {
			color = selected
		}
		line := m.line(rows[i].cells)
		if i == m.cursor && !m.on {
			line = ">" + strings.TrimPrefix(line, " ")
		}
		lines = append(lines, m.paint(color, line))
	}
	return lines
}

// detail is the selected row's text that its columns may have cut off.
func (m *topModel) detail() string {
	rows := m.rows()
	if m.explained != nil || m.cursor >= len(rows) {
		return ""
	}
	cells := rows[m.cursor].cells
	return cells[1] + "  " + cells[len(cells)-1]
}

func (m *topModel) explanation() []string {
	var lines []string
	for i := m.offset; i < min(len(m.explained), m.offset+m.body()); i++ {
		lines = append(lines, m.fit(m.explained[i]))
	}
	return lines
}

// filled are the lines, with empty ones below: the foot stays at the bottom.
func (m *topModel) filled(lines []string) []string {
	for len(lines) < m.body() {
		lines = append(lines, "")
	}
	return lines
}

// foot is what is wrong, or else the keys.
func (m *topModel) foot() string {
	switch {
	case m.filtering:
		return m.fit("filter: " + m.filter + "_  enter keeps it, esc drops it")
	case m.err != nil:
		return m.paint(red, m.fit("as of "+m.last.at.Local().Format(time.TimeOnly)+": "+m.err.Error()))
	}
	text := "q quit  tab pane  / filter  s sort: " + m.sort.String() + "  e explain"
	if m.filter != "" {
		text += "  filter: " + m.filter
	}
	return m.paint(dim, m.fit(text))
}

// line sets cells into the columns of the pane.
func (m *topModel) line(cells []string) string {
	columns := m.pane.columns()
	text := " "
	for i, column := range columns {
		if column.from > m.width {
			continue
		}
		if i == len(columns)-1 {
			text += cells[i]
			break
		}
		text += cell(cells[i], column.width, column.right) + " "
	}
	return m.fit(text)
}

// fit cuts a line off where the screen ends.
func (m *topModel) fit(text string) string { return cut(strings.Map(printable, text), m.width) }

// cell is a text in exactly so many columns of the terminal.
func cell(text string, width int, right bool) string {
	text = cut(strings.Map(printable, text), width)
	space := strings.Repeat(" ", width-lipgloss.Width(text))
	if right {
		return space + text
	}
	return text + space
}

// cut is a text in at most so many columns; it ends with … if some is missing.
func cut(text string, width int) string {
	if lipgloss.Width(text) <= width {
		return text
	}
	runes := []rune(text)
	for len(runes) > 0 && lipgloss.Width(string(runes)) > width-1 {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}
