package integration

import (
	"os"
	"testing"

	"github.com/lvsd/lvsd/integration/lab"
)

func TestMain(m *testing.M) {
	lab.Main()
	os.Exit(m.Run())
}
