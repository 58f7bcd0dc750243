// Command peer measures what Knative's own collector and autoscaler need for a tick of a fleet.
//
// The unit of work is that of bench/bench_tick.py: for each revision two recorded seconds and one decision. Output is one
// JSON object a line:
//
//	{"peer": "knative.dev/serving v0.48.1", "algorithm": "linear", "revisions": 100, "ticks": 9000, "cores": 1,
//	 "microseconds_per_revision": 1.2}
//
// It runs on one core unless -cores says otherwise; the work itself is one loop.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/serving/pkg/apis/autoscaling"
	"knative.dev/serving/pkg/apis/autoscaling/v1alpha1"
	"knative.dev/serving/pkg/autoscaler/metrics"
	"knative.dev/serving/pkg/autoscaler/scaling"
)

const (
	stableWindow = 60 * time.Second
	panicWindow  = 6 * time.Second
	targetValue  = 70.0
	totalValue   = 100.0
)

// readyPods is a fixed number of ready pods.
type readyPods int

func (p readyPods) ReadyCount() (int, error)    { return int(p), nil }
func (p readyPods) NotReadyCount() (int, error) { return 0, nil }

// revision is what a tick needs of one revision.
type revision struct {
	key    types.NamespacedName
	scaler scaling.UniScaler
}

// fleet is a collector with its revisions and the time that they have reached.
type fleet struct {
	logger    *zap.SugaredLogger
	collector *metrics.MetricCollector
	revisions []revision
	now       time.Time
	round     int
}

func noScraper(*v1alpha1.Metric, *zap.SugaredLogger) (metrics.StatsScraper, error) {
	return nil, nil
}

func newFleet(size int, algorithm string) (*fleet, error) {
	f := &fleet{logger: zap.NewNop().Sugar(), now: time.Unix(1_800_000_000, 0)}
	f.collector = metrics.NewMetricCollector(noScraper, f.logger)
	for i := range size {
		key := types.NamespacedName{Namespace: "bench", Name: "revision-" + strconv.Itoa(i)}
		metric := &v1alpha1.Metric{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: key.Namespace, Name: key.Name,
				Annotations: map[string]string{autoscaling.MetricAggregationAlgorithmKey: algorithm},
			},
			Spec: v1alpha1.MetricSpec{StableWindow: stableWindow, PanicWindow: panicWindow, ScrapeTarget: "scraped"},
		}
		if err := f.collector.CreateOrUpdate(metric); err != nil {
			return nil, err
		}
		scaler := scaling.New(*attribute.EmptySet(), noop.NewMeterProvider(), key.Namespace, key.Name, f.collector,
			readyPods(3), &scaling.DeciderSpec{
				MaxScaleUpRate: 1000, MaxScaleDownRate: 2, ScalingMetric: autoscaling.Concurrency,
				TargetValue: targetValue, TotalValue: totalValue, TargetBurstCapacity: 211,
				PanicThreshold: 2, StableWindow: stableWindow, InitialScale: 1, Reachable: true,
			})
		f.revisions = append(f.revisions, revision{key: key, scaler: scaler})
	}
	return f, nil
}

// tick records two seconds for every revision and takes a decision for each.
func (f *fleet) tick() {
	f.round++
	for range 2 {
		f.now = f.now.Add(time.Second)
		for i := range f.revisions {
			load := float64((i+f.round)%7) * 40
			f.collector.Record(f.revisions[i].key, f.now, metrics.Stat{AverageConcurrentRequests: load, RequestCount: load})
		}
	}
	for i := range f.revisions {
		if result := f.revisions[i].scaler.Scale(f.logger, f.now); !result.ScaleValid {
			panic("no data for " + f.revisions[i].key.Name)
		}
	}
}

func (f *fleet) close() {
	for _, r := range f.revisions {
		f.collector.Delete(r.key.Namespace, r.key.Name)
		r.scaler.OnDelete()
	}
}

// result is one line of output.
type result struct {
	Peer         string  `json:"peer"`
	Algorithm    string  `json:"algorithm"`
	Revisions    int     `json:"revisions"`
	Ticks        int     `json:"ticks"`
	Cores        int     `json:"cores"`
	Microseconds float64 `json:"microseconds_per_revision"`
}

// measure fills the windows, then ticks for at least the given time.
func measure(size int, algorithm string, atLeast time.Duration) (result, error) {
	f, err := newFleet(size, algorithm)
	if err != nil {
		return result{}, err
	}
	defer f.close()
	for range int(stableWindow/(2*time.Second)) + 1 {
		f.tick()
	}
	ticks, begin := 0, time.Now()
	for ticks < 3 || time.Since(begin) < atLeast {
		f.tick()
		ticks++
	}
	spent := time.Since(begin)
	return result{
		Peer: peer(), Algorithm: algorithm, Revisions: size, Ticks: ticks, Cores: runtime.GOMAXPROCS(0),
		Microseconds: float64(spent.Nanoseconds()) / 1e3 / float64(ticks) / float64(size),
	}, nil
}

// peer names the measured module and its version.
func peer() string {
	const module = "knative.dev/serving"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				return module + " " + dependency.Version
			}
		}
	}
	return module
}

func main() {
	sizes := flag.String("revisions", "1,100,10000", "fleet sizes, separated by commas")
	algorithm := flag.String("algorithm", "linear", "linear or weighted-exponential")
	seconds := flag.Float64("seconds", 2, "time to measure each size for")
	cores := flag.Int("cores", 1, "processor cores to use, the garbage collector's included")
	flag.Parse()
	runtime.GOMAXPROCS(*cores)
	for _, text := range strings.Split(*sizes, ",") {
		size, err := strconv.Atoi(text)
		if err == nil {
			var line result
			line, err = measure(size, *algorithm, time.Duration(*seconds*float64(time.Second)))
			json.NewEncoder(os.Stdout).Encode(line)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "peer:", err)
			os.Exit(1)
		}
	}
}
