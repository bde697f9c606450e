package main

func processFaults() []Fault { return nil }
func reloadFaults() []Fault  { return nil }
func networkFaults() []Fault { return nil }
func advertFaults() []Fault  { return nil }
func kernelFaults() []Fault  { return nil }
func hostFaults() []Fault    { return nil }
func scriptFaults() []Fault  { return nil }
func serverFaults() []Fault  { return nil }

func main() { _ = faults() }
