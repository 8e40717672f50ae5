// o2serve serves a graph driver built into moby 20.10 (overlay2) as a
// "docker.graphdriver/1.0" plugin on a unix socket: a peer for benchmarks, with
// the same wire as thinlayer and moby's own driver code behind it.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"github.com/docker/docker/daemon/graphdriver"
	"github.com/docker/docker/daemon/graphdriver/overlay2"
	"github.com/docker/docker/daemon/graphdriver/vfs"
	"github.com/docker/docker/pkg/archive"
	"github.com/docker/docker/pkg/idtools"
	"github.com/docker/docker/pkg/reexec"
	"github.com/sirupsen/logrus"
)

const ctype = "application/vnd.docker.plugins.v1.1+json"

var (
	mu  sync.RWMutex
	drv graphdriver.Driver
)

type req struct {
	Home             string
	Opts             []string
	UIDMaps, GIDMaps []idtools.IDMap
	ID, Parent       string
	MountLabel       string
	StorageOpt       map[string]string
}

func main() {
	if reexec.Init() {
		return
	}
	logrus.SetLevel(logrus.WarnLevel)
	sock := flag.String("socket", os.Getenv("GRAPHPLUGIN_SOCK"), "unix socket to listen on")
	name := flag.String("driver", "overlay2", "which of moby's drivers: overlay2 or vfs")
	flag.Parse()
	os.MkdirAll(filepath.Dir(*sock), 0755)
	os.Remove(*sock)
	l, err := net.Listen("unix", *sock)
	if err != nil {
		log.Fatal(err)
	}
	m := http.NewServeMux()
	answer := func(w http.ResponseWriter, v interface{}, err error) {
		w.Header().Set("Content-Type", ctype)
		if err != nil {
			w.WriteHeader(500)
			v = map[string]string{"Err": err.Error()}
		}
		json.NewEncoder(w).Encode(v)
	}
	m.HandleFunc("/Plugin.Activate", func(w http.ResponseWriter, r *http.Request) {
		answer(w, map[string][]string{"Implements": {"GraphDriver"}}, nil)
	})
	on := func(method string, f func(d graphdriver.Driver, q *req) (interface{}, error)) {
		m.HandleFunc("/GraphDriver."+method, func(w http.ResponseWriter, r *http.Request) {
			q := new(req)
			if err := json.NewDecoder(r.Body).Decode(q); err != nil && err != io.EOF {
				http.Error(w, err.Error(), 400)
				return
			}
			mu.RLock()
			d := drv
			mu.RUnlock()
			if d == nil && method != "Init" && method != "Capabilities" {
				answer(w, nil, errors.New("not initialized"))
				return
			}
			v, err := f(d, q)
			answer(w, v, err)
		})
	}
	none := struct{}{}
	on("Init", func(_ graphdriver.Driver, q *req) (interface{}, error) {
		f := overlay2.Init
		if *name == "vfs" {
			f = vfs.Init
		}
		init, err := f(q.Home, q.Opts, q.UIDMaps, q.GIDMaps)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		drv = init
		mu.Unlock()
		return none, nil
	})
	on("Capabilities", func(d graphdriver.Driver, q *req) (interface{}, error) {
		var c graphdriver.Capabilities
		if cd, ok := d.(graphdriver.CapabilityDriver); ok {
			c = cd.Capabilities()
		}
		return map[string]interface{}{"Capabilities": c}, nil
	})
	co := func(q *req) *graphdriver.CreateOpts {
		return &graphdriver.CreateOpts{MountLabel: q.MountLabel, StorageOpt: q.StorageOpt}
	}
	on("Create", func(d graphdriver.Driver, q *req) (interface{}, error) { return none, d.Create(q.ID, q.Parent, co(q)) })
	on("CreateReadWrite", func(d graphdriver.Driver, q *req) (interface{}, error) {
		return none, d.CreateReadWrite(q.ID, q.Parent, co(q))
	})
	on("Remove", func(d graphdriver.Driver, q *req) (interface{}, error) { return none, d.Remove(q.ID) })
	on("Get", func(d graphdriver.Driver, q *req) (interface{}, error) {
		fs, err := d.Get(q.ID, q.MountLabel)
		if err != nil {
			return nil, err
		}
		return map[string]string{"Dir": fs.Path()}, nil
	})
	on("Put", func(d graphdriver.Driver, q *req) (interface{}, error) { return none, d.Put(q.ID) })
	on("Exists", func(d graphdriver.Driver, q *req) (interface{}, error) {
		return map[string]bool{"Exists": d.Exists(q.ID)}, nil
	})
	on("Status", func(d graphdriver.Driver, q *req) (interface{}, error) {
		return map[string]interface{}{"Status": d.Status()}, nil
	})
	on("GetMetadata", func(d graphdriver.Driver, q *req) (interface{}, error) {
		v, err := d.GetMetadata(q.ID)
		return map[string]interface{}{"Metadata": v}, err
	})
	on("Cleanup", func(d graphdriver.Driver, q *req) (interface{}, error) { return none, d.Cleanup() })
	on("Changes", func(d graphdriver.Driver, q *req) (interface{}, error) {
		c, err := d.Changes(q.ID, q.Parent)
		if c == nil {
			c = []archive.Change{}
		}
		return map[string]interface{}{"Changes": c}, err
	})
	on("DiffSize", func(d graphdriver.Driver, q *req) (interface{}, error) {
		n, err := d.DiffSize(q.ID, q.Parent)
		return map[string]int64{"Size": n}, err
	})
	m.HandleFunc("/GraphDriver.Diff", func(w http.ResponseWriter, r *http.Request) {
		q := new(req)
		if err := json.NewDecoder(r.Body).Decode(q); err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		mu.RLock()
		d := drv
		mu.RUnlock()
		if d == nil {
			answer(w, nil, errors.New("not initialized"))
			return
		}
		rd, err := d.Diff(q.ID, q.Parent)
		if err != nil {
			answer(w, nil, err)
			return
		}
		defer rd.Close()
		w.Header().Set("Content-Type", ctype)
		if _, err := io.Copy(w, rd); err != nil {
			fmt.Fprintln(os.Stderr, "Diff:", err)
			panic(http.ErrAbortHandler)
		}
	})
	m.HandleFunc("/GraphDriver.ApplyDiff", func(w http.ResponseWriter, r *http.Request) {
		mu.RLock()
		d := drv
		mu.RUnlock()
		if d == nil {
			answer(w, nil, errors.New("not initialized"))
			return
		}
		n, err := d.ApplyDiff(r.URL.Query().Get("id"), r.URL.Query().Get("parent"), r.Body)
		answer(w, map[string]int64{"Size": n}, err)
	})
	log.Fatal((&http.Server{Handler: m}).Serve(l))
}
