// Package integration holds the tests of whole systems: real kernels, real
// mail servers, real packets. A test says what it needs with lab.Require; see
// vm for the machine that has IPVS.
package integration
