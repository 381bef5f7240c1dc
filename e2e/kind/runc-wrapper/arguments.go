package main

import (
	"path/filepath"
	"strings"
)

// The description of a process that runc is about to start.
type description struct {
	// File that runc will read; empty when this call starts nothing.
	file string
	// Whether the file is a whole bundle's config.json, with the process under the key "process".
	inBundle bool
}

// Flags of runc that take their value as the next word (runc(8), runc-create(8), runc-exec(8)).
var withValue = map[string]bool{
	"root": true, "log": true, "log-format": true, "criu": true, "rootless": true,
	"bundle": true, "b": true, "pid-file": true, "console-socket": true, "preserve-fds": true, "pidfd-socket": true,
	"process": true, "p": true, "cwd": true, "env": true, "e": true, "user": true, "u": true, "cap": true, "c": true,
	"process-label": true, "apparmor": true, "additional-gids": true, "g": true, "cgroup": true,
}

func bundleOf(args []string) description {
	verb, bundle, process := "", ".", ""
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") {
			if verb == "" {
				verb = args[i]
			}
			continue
		}
		name, value, joined := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if !withValue[name] {
			continue
		}
		if !joined && i+1 < len(args) {
			i++
			value = args[i]
		}
		switch {
		case name == "bundle" || name == "b":
			bundle = value
		case name == "process" || (name == "p" && verb == "exec"):
			process = value
		}
	}
	switch verb {
	case "create", "run", "restore":
		return description{file: filepath.Join(bundle, "config.json"), inBundle: true}
	case "exec":
		return description{file: process}
	}
	return description{}
}
