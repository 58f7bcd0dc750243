// Command decisions runs traces through Knative's own metric collector and autoscaler.
//
// It reads one JSON object a line from standard input, in the format that tests/golden/README.md describes, and writes
// the same object with decisions to standard output. Decisions in the input are ignored.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"time"
	"unsafe"

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

// settings is the `spec` of a trace: windows and delay in seconds.
type settings struct {
	Metric              string  `json:"metric"`
	Algorithm           string  `json:"algorithm"`
	StableWindow        float64 `json:"stable_window"`
	PanicWindow         float64 `json:"panic_window"`
	TargetValue         float64 `json:"target_value"`
	TotalValue          float64 `json:"total_value"`
	TargetBurstCapacity float64 `json:"target_burst_capacity"`
	PanicThreshold      float64 `json:"panic_threshold"`
	MaxScaleUpRate      float64 `json:"max_scale_up_rate"`
	MaxScaleDownRate    float64 `json:"max_scale_down_rate"`
	ScaleDownDelay      float64 `json:"scale_down_delay"`
	ActivationScale     int32   `json:"activation_scale"`
	InitialScale        int32   `json:"initial_scale"`
	Reachable           bool    `json:"reachable"`
	InitialReady        int     `json:"initial_ready"`
}

// step is one moment of a trace: what was reported, how many pods were ready, whether to decide.
type step struct {
	At    float64      `json:"at"`
	Ready *int         `json:"ready"`
	Stats [][4]float64 `json:"stats"`
	Tick  bool         `json:"tick"`
}

// decision is the answer to one tick.
type decision struct {
	At      float64 `json:"at"`
	Valid   bool    `json:"valid"`
	Stable  float64 `json:"stable"`
	Panic   float64 `json:"panic"`
	Desired int32   `json:"desired"`
	Excess  int32   `json:"excess"`
}

// trace is one line of input. Steps are kept as they came, so that the output repeats them unchanged.
type trace struct {
	Name      string          `json:"name"`
	Spec      json.RawMessage `json:"spec"`
	Base      int64           `json:"base"`
	Steps     json.RawMessage `json:"steps"`
	Decisions []decision      `json:"decisions"`
}

// podCount is the number of ready pods, as the autoscaler asks for it.
type podCount int

func (p *podCount) ReadyCount() (int, error)    { return int(*p), nil }
func (p *podCount) NotReadyCount() (int, error) { return 0, nil }

func seconds(s float64) time.Duration {
	return time.Duration(math.Round(s * float64(time.Second)))
}

func noScraper(*v1alpha1.Metric, *zap.SugaredLogger) (metrics.StatsScraper, error) {
	return nil, nil
}

func newMetric(key types.NamespacedName, s settings) *v1alpha1.Metric {
	metric := &v1alpha1.Metric{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
		Spec: v1alpha1.MetricSpec{
			StableWindow: seconds(s.StableWindow),
			PanicWindow:  seconds(s.PanicWindow),
			ScrapeTarget: "scraped", // empty would make a window without data read as zero
		},
	}
	if s.Algorithm != "" {
		metric.Annotations = map[string]string{autoscaling.MetricAggregationAlgorithmKey: s.Algorithm}
	}
	return metric
}

func newDeciderSpec(s settings) *scaling.DeciderSpec {
	return &scaling.DeciderSpec{
		MaxScaleUpRate:      s.MaxScaleUpRate,
		MaxScaleDownRate:    s.MaxScaleDownRate,
		ScalingMetric:       s.Metric,
		TargetValue:         s.TargetValue,
		TotalValue:          s.TotalValue,
		TargetBurstCapacity: s.TargetBurstCapacity,
		PanicThreshold:      s.PanicThreshold,
		StableWindow:        seconds(s.StableWindow),
		ScaleDownDelay:      seconds(s.ScaleDownDelay),
		InitialScale:        s.InitialScale,
		ActivationScale:     s.ActivationScale,
		Reachable:           s.Reachable,
	}
}

// stampFirstPanic moves the panic that a new autoscaler begins in from the wall clock to the trace's clock.
//
// The autoscaler reads the wall clock only there, and offers no other clock.
func stampFirstPanic(scaler scaling.UniScaler, at time.Time) {
	field := reflect.ValueOf(scaler).Elem().FieldByName("panicTime")
	stamp := (*time.Time)(unsafe.Pointer(field.UnsafeAddr()))
	if !stamp.IsZero() {
		*stamp = at
	}
}

func observe(client metrics.MetricClient, key types.NamespacedName, metric string, now time.Time) (float64, float64, error) {
	if metric == autoscaling.RPS {
		return client.StableAndPanicRPS(key, now)
	}
	return client.StableAndPanicConcurrency(key, now)
}

// decide plays one trace from its first step to its last.
func decide(name string, base time.Time, s settings, steps []step, firstPanic time.Duration) ([]decision, error) {
	logger := zap.NewNop().Sugar()
	key := types.NamespacedName{Namespace: "traces", Name: name}
	collector := metrics.NewMetricCollector(noScraper, logger)
	if err := collector.CreateOrUpdate(newMetric(key, s)); err != nil {
		return nil, err
	}
	defer collector.Delete(key.Namespace, key.Name)

	ready := podCount(s.InitialReady)
	scaler := scaling.New(*attribute.EmptySet(), noop.NewMeterProvider(), key.Namespace, key.Name, collector, &ready, newDeciderSpec(s))
	defer scaler.OnDelete()
	stampFirstPanic(scaler, base.Add(firstPanic))

	decisions := []decision{}
	for _, step := range steps {
		now := base.Add(seconds(step.At))
		if step.Ready != nil {
			ready = podCount(*step.Ready)
		}
		for _, v := range step.Stats {
			collector.Record(key, now, metrics.Stat{
				AverageConcurrentRequests:        v[0],
				AverageProxiedConcurrentRequests: v[1],
				RequestCount:                     v[2],
				ProxiedRequestCount:              v[3],
			})
		}
		if !step.Tick {
			continue
		}
		d := decision{At: step.At}
		result := scaler.Scale(logger, now)
		if result.ScaleValid {
			stable, panicking, err := observe(collector, key, s.Metric, now)
			if err != nil {
				return nil, err
			}
			d.Valid, d.Stable, d.Panic = true, stable, panicking
			d.Desired, d.Excess = result.DesiredPodCount, result.ExcessBurstCapacity
		}
		decisions = append(decisions, d)
	}
	return decisions, nil
}

func run(input io.Reader, output io.Writer, firstPanic time.Duration) error {
	lines := json.NewDecoder(bufio.NewReaderSize(input, 1<<20))
	out := bufio.NewWriterSize(output, 1<<20)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	for {
		var t trace
		if err := lines.Decode(&t); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("input: %w", err)
		}
		var s settings
		if err := json.Unmarshal(t.Spec, &s); err != nil {
			return fmt.Errorf("%s: spec: %w", t.Name, err)
		}
		var steps []step
		if err := json.Unmarshal(t.Steps, &steps); err != nil {
			return fmt.Errorf("%s: steps: %w", t.Name, err)
		}
		decisions, err := decide(t.Name, time.Unix(t.Base, 0), s, steps, firstPanic)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
		t.Decisions = decisions
		if err := encoder.Encode(t); err != nil {
			return err
		}
	}
}

func main() {
	firstPanic := flag.Duration("first-panic", 0, "when after `base` an autoscaler that begins in panic got its stamp")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, *firstPanic); err != nil {
		fmt.Fprintln(os.Stderr, "decisions:", err)
		os.Exit(1)
	}
}
