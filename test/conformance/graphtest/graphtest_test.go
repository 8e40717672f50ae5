// Package conformance runs moby's own graph driver suite over a plugin socket, through moby's own proxy client.
//
// The suite builds its driver with graphdriver.GetDriver(name, nil, …), which finds only drivers built into the
// program. So one is registered here whose initialisation asks GetDriver for the plugin.
package conformance

import (
	"errors"
	"os"
	"testing"

	"github.com/docker/docker/daemon/graphdriver"
	"github.com/docker/docker/daemon/graphdriver/graphtest"
	"github.com/docker/docker/pkg/idtools"
	"github.com/docker/docker/pkg/plugingetter"
	"github.com/docker/docker/pkg/plugins"
)

const (
	builtinName = "over-socket"
	pluginName  = "thinlayer"
)

// onePlugin is a plugin store that knows the one behind GRAPHPLUGIN_SOCK.
type onePlugin struct {
	plugingetter.PluginGetter
	client *plugins.Client
}

func (p *onePlugin) Get(string, string, int) (plugingetter.CompatPlugin, error) { return p, nil }
func (p *onePlugin) Client() *plugins.Client                                    { return p.client }
func (p *onePlugin) Name() string                                               { return pluginName }
func (p *onePlugin) IsV1() bool                                                 { return true }
func (p *onePlugin) ScopedPath(path string) string                              { return path }

func initOverSocket(root string, options []string, uids, gids []idtools.IDMap) (graphdriver.Driver, error) {
	socket := os.Getenv("GRAPHPLUGIN_SOCK")
	if socket == "" {
		return nil, errors.New("set GRAPHPLUGIN_SOCK to the socket of the driver to test")
	}
	client, err := plugins.NewClient("unix://"+socket, nil)
	if err != nil {
		return nil, err
	}
	// Like dockerd's data root, what the driver's home is made in has to exist.
	if err := os.MkdirAll(root, 0755); err != nil {
		return nil, err
	}
	return graphdriver.GetDriver(pluginName, &onePlugin{client: client}, graphdriver.Options{
		Root: root, DriverOptions: options, UIDMaps: uids, GIDMaps: gids, ExperimentalEnabled: true,
	})
}

func init() {
	if err := graphdriver.Register(builtinName, initOverSocket); err != nil {
		panic(err)
	}
}

// The tests between Setup and Teardown share one driver, that is one Init.
func TestSetup(t *testing.T)       { graphtest.GetDriver(t, builtinName) }
func TestCreateEmpty(t *testing.T) { graphtest.DriverTestCreateEmpty(t, builtinName) }
func TestCreateBase(t *testing.T)  { graphtest.DriverTestCreateBase(t, builtinName) }
func TestCreateSnap(t *testing.T)  { graphtest.DriverTestCreateSnap(t, builtinName) }

func Test20LayerRead(t *testing.T)        { graphtest.DriverTestDeepLayerRead(t, 20, builtinName) }
func Test128LayerRead(t *testing.T)       { graphtest.DriverTestDeepLayerRead(t, 128, builtinName) }
func TestDiffApply10Files(t *testing.T)   { graphtest.DriverTestDiffApply(t, 10, builtinName) }
func TestDiffApply1000Files(t *testing.T) { graphtest.DriverTestDiffApply(t, 1000, builtinName) }
func TestChanges(t *testing.T)            { graphtest.DriverTestChanges(t, builtinName) }
func TestTeardown(t *testing.T)           { graphtest.PutDriver(t) }

func BenchmarkExists(b *testing.B)         { graphtest.DriverBenchExists(b, builtinName) }
func BenchmarkGetEmpty(b *testing.B)       { graphtest.DriverBenchGetEmpty(b, builtinName) }
func BenchmarkDiffBase(b *testing.B)       { graphtest.DriverBenchDiffBase(b, builtinName) }
func BenchmarkDiffSmallUpper(b *testing.B) { graphtest.DriverBenchDiffN(b, 10, 10, builtinName) }
func BenchmarkDiff10KUpper(b *testing.B)   { graphtest.DriverBenchDiffN(b, 10, 10000, builtinName) }
func BenchmarkDiff10KBottom(b *testing.B)  { graphtest.DriverBenchDiffN(b, 10000, 10, builtinName) }
func BenchmarkDiffApply100(b *testing.B)   { graphtest.DriverBenchDiffApplyN(b, 100, builtinName) }
func BenchmarkDiff20Layers(b *testing.B)   { graphtest.DriverBenchDeepLayerDiff(b, 20, builtinName) }
func BenchmarkRead20Layers(b *testing.B)   { graphtest.DriverBenchDeepLayerRead(b, 20, builtinName) }
