package main

import (
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/lvsd/lvsd/director"
)

// topPane is one of the tables of lvsd top.
type topPane int

// The panes.
const (
	topServers topPane = iota
	topInstances
	topNodes
	topEvents
	topPanes // how many there are
)

func (p topPane) String() string { return [...]string{"Servers", "Instances", "Nodes", "Events"}[p] }

// topSort is the order of real servers.
type topSort int

// The orders.
const (
	sortFile topSort = iota
	sortState
	sortActive
	sortRate
	sortCheck
	topSorts // how many there are
)

func (s topSort) String() string {
	return [...]string{"file order", "state", "active connections", "connection rate", "check time"}[s]
}

// topLook is what was seen at a time.
type topLook struct {
	at      time.Time
	status  director.Status
	traffic director.Traffic
	events  []director.Event
	err     error
}

// keptEvents bounds the events that lvsd top shows.
const keptEvents = 1000

// topModel is all that lvsd top knows. Update and View are functions of it: what it
// asks, it asks through source, in commands that bubbletea runs.
type topModel struct {
	palette
	source        topSource
	width, height int

	// last is the last look that succeeded, err why the last one did not.
	last   topLook
	err    error
	events []director.Event

	pane      topPane
	sort      topSort
	filter    string
	filtering bool
	// cursor is the selected row, offset the first one shown.
	cursor, offset int
	// explained are the lines of an explanation; nil if none is shown.
	explained []string
}

// The messages beside bubbletea's own.
type (
	topTick      struct{}
	topExplained struct{ lines []string }
)

func newTopModel(source topSource, colors palette) topModel {
	return topModel{palette: colors, source: source, width: 80, height: 24}
}

// Init looks for the first time.
func (m topModel) Init() tea.Cmd { return m.look() }

func (m topModel) look() tea.Cmd {
	after := uint64(0)
	if n := len(m.events); n > 0 {
		after = m.events[n-1].Seq
	}
	return func() tea.Msg { return m.source.look(after) }
}

// Update takes a message in.
func (m topModel) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = message.Width, message.Height
	case topTick:
		return m, m.look()
	case topLook:
		m.saw(message)
		m.moveTo(m.cursor)
		return m, tea.Tick(topRefresh, func(time.Time) tea.Msg { return topTick{} })
	case topExplained:
		m.explained, m.offset = message.lines, 0
	case tea.KeyMsg:
		return m.key(message)
	}
	m.moveTo(m.cursor)
	return m, nil
}

// saw takes a look in. A failed one leaves what was seen before.
func (m *topModel) saw(look topLook) {
	if m.err = look.err; m.err != nil {
		return
	}
	if look.status.PID != m.last.status.PID || !look.status.Started.Equal(m.last.status.Started) {
		m.events = nil // another daemon counts from 1 again
	}
	m.last = look
	m.events = append(m.events, look.events...)
	m.events = m.events[max(0, len(m.events)-keptEvents):]
}

// key does what a key is for.
func (m topModel) key(key tea.KeyMsg) (tea.Model, tea.Cmd) {
	if m.filtering {
		return m.typed(key), nil
	}
	switch text := key.String(); text {
	case "q", "ctrl+c":
		return m, tea.Quit
	case "esc":
		m.back()
	case "tab", "right", "l":
		m.show((m.pane + 1) % topPanes)
	case "shift+tab", "left", "h":
		m.show((m.pane + topPanes - 1) % topPanes)
	case "1", "2", "3", "4":
		m.show(topPane(text[0] - '1'))
	case "/":
		m.filtering, m.explained = true, nil
	case "s":
		m.sort = (m.sort + 1) % topSorts
	case "e", "enter":
		return m.explain()
	default:
		m.move(text)
	}
	return m, nil
}

// typed takes a key of the filter.
func (m topModel) typed(key tea.KeyMsg) topModel {
	switch key.Type {
	case tea.KeyEnter:
		m.filtering = false
	case tea.KeyEsc, tea.KeyCtrlC:
		m.filtering, m.filter = false, ""
	case tea.KeyBackspace:
		if runes := []rune(m.filter); len(runes) > 0 {
			m.filter = string(runes[:len(runes)-1])
		}
	case tea.KeyRunes, tea.KeySpace:
		m.filter += string(key.Runes)
	default:
	}
	m.moveTo(0)
	return m
}

// back closes an explanation, or else ends the filter.
func (m *topModel) back() {
	if m.explained != nil {
		m.explained = nil
		m.moveTo(m.cursor)
		return
	}
	m.filter = ""
	m.moveTo(m.cursor)
}

// show goes to a pane.
func (m *topModel) show(pane topPane) {
	m.pane, m.explained, m.cursor, m.offset = pane, nil, 0, 0
}

// move moves the selection, or an explanation.
func (m *topModel) move(key string) {
	by := map[string]int{
		"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -m.body(), "pgdown": m.body(), "home": -1 << 30, "g": -1 << 30, "end": 1 << 30, "G": 1 << 30,
	}[key]
	if m.explained != nil {
		m.offset = max(0, min(m.offset+by, len(m.explained)-m.body()))
		return
	}
	m.moveTo(m.cursor + by)
}

// moveTo selects a row that there is, and has it in sight.
func (m *topModel) moveTo(row int) {
	if m.explained != nil {
		return
	}
	m.cursor = max(0, min(row, len(m.rows())-1))
	m.offset = min(m.offset, m.cursor)
	m.offset = max(m.offset, m.cursor-m.body()+1)
}

// explain asks about the selected row.
func (m topModel) explain() (tea.Model, tea.Cmd) {
	if m.explained != nil {
		m.back()
		return m, nil
	}
	rows := m.rows()
	if m.cursor >= len(rows) || rows[m.cursor].name == "" {
		return m, nil
	}
	row := rows[m.cursor]
	return m, func() tea.Msg {
		text, err := m.source.explain(row.what, row.name, row.service)
		if err != nil {
			text = err.Error()
		}
		return topExplained{strings.Split(strings.TrimRight(text, "\n"), "\n")}
	}
}
