// runc-wrapper takes out of an OCI bundle what this host cannot grant, and then becomes the real runc.
//
// A host without CAP_SYS_RESOURCE can neither hand that capability on, nor raise hard limits, nor lower an OOM score;
// runc gives up at the first of them ("unable to apply caps: operation not permitted", or a sandbox that ends with
// "can't get final child's PID from pipe: EOF"). It stands in for runc in two places: dockerd's default runtime on the
// host, and containerd's BinaryName inside the nodes.
package main

import (
	"fmt"
	"os"
	"syscall"
)

// Where distributions install runc.
var places = []string{"/usr/sbin/runc", "/usr/bin/runc", "/usr/local/sbin/runc", "/usr/local/bin/runc"}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "runc-wrapper:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	runc, err := installed(places)
	if err != nil {
		return err
	}
	if bundle := bundleOf(args); bundle.file != "" {
		if err := bundle.rewrite(thisHost()); err != nil {
			return fmt.Errorf("%s: %w", bundle.file, err)
		}
	}
	if err := syscall.Exec(runc, append([]string{"runc"}, args...), os.Environ()); err != nil {
		return fmt.Errorf("starting %s: %w", runc, err)
	}
	return nil
}

func installed(places []string) (string, error) {
	for _, place := range places {
		if info, err := os.Stat(place); err == nil && info.Mode().IsRegular() {
			return place, nil
		}
	}
	return "", fmt.Errorf("got no runc, expected one of %v: install the distribution's runc", places)
}
