// Command statsender reports load to an autoscaler as Knative's activator does: counted by its concurrency reporter, in
// its wire form, over its durable connection.
//
//	statsender ws://127.0.0.1:8080 < script
//
// The script is one JSON object a line, of which the first of these counts:
//
//	{"messages": [{"namespace", "name", "stat": {...}}]}  reports this batch
//	{"requests": 3, "namespace", "name", "seconds": 0.5}  lets requests of this length pass the reporter, all at once,
//	                                                      and goes on when they have ended
//	{"raw": "text", "binary": true}                       sends this frame
//	{"frames": 2}, {"connections": 2}                     waits until so many were sent, or made
//	{"wait": 0.5}                                         waits so many seconds
//
// The connection stays until the end of the script, which should wait for the frames it wants sent. Events are JSON objects, one a line, on standard output.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/logging"
	pkgwebsocket "knative.dev/pkg/websocket"
	"knative.dev/serving/pkg/activator"
	"knative.dev/serving/pkg/activator/handler"
	"knative.dev/serving/pkg/autoscaler/metrics"
	"knative.dev/serving/pkg/client/informers/externalversions"
	"knative.dev/serving/pkg/client/injection/informers/serving/v1/revision"
)

// message is one revision's report; the names of the stat are those of the wire form.
type message struct {
	Namespace string       `json:"namespace"`
	Name      string       `json:"name"`
	Stat      metrics.Stat `json:"stat"`
}

// command is one line of the script.
type command struct {
	Messages    []message `json:"messages"`
	Requests    int       `json:"requests"`
	Namespace   string    `json:"namespace"`
	Name        string    `json:"name"`
	Seconds     float64   `json:"seconds"`
	Raw         *string   `json:"raw"`
	Binary      bool      `json:"binary"`
	Frames      int       `json:"frames"`
	Connections int       `json:"connections"`
	Wait        float64   `json:"wait"`
}

func (c command) key() types.NamespacedName {
	return types.NamespacedName{Namespace: c.Namespace, Name: c.Name}
}

// events prints and counts what happens.
type events struct {
	mu      sync.Mutex
	changed *sync.Cond
	counts  map[string]int
}

func newEvents() *events {
	e := &events{counts: map[string]int{}}
	e.changed = sync.NewCond(&e.mu)
	return e
}

func (e *events) happen(event, detail string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counts[event]++
	line, _ := json.Marshal(map[string]any{"event": event, "number": e.counts[event], "detail": detail})
	fmt.Println(string(line))
	e.changed.Broadcast()
}

func (e *events) wait(event string, number int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.counts[event] < number {
		e.changed.Wait()
	}
}

// observedSink tells when a frame was handed over: the reporter sends from goroutines of its own.
type observedSink struct {
	inner  activator.RawSender
	events *events
}

func (s observedSink) SendRaw(kind int, frame []byte) error {
	err := s.inner.SendRaw(kind, frame)
	if err != nil {
		s.events.happen("lost", err.Error())
	} else {
		s.events.happen("sent", "")
	}
	return err
}

// sender is an activator reduced to its reporting.
type sender struct {
	events     *events
	connection *pkgwebsocket.ManagedConnection
	batches    chan []metrics.StatMessage
	reporter   *handler.ConcurrencyReporter
}

func newSender(ctx context.Context, target string) *sender {
	s := &sender{events: newEvents(), batches: make(chan []metrics.StatMessage)}
	logger := logging.FromContext(ctx)
	s.connection = pkgwebsocket.NewDurableSendingConnection(target, logger,
		pkgwebsocket.WithOnConnect(func() { s.events.happen("connected", "") }),
		pkgwebsocket.WithOnDisconnect(func(err error) { s.events.happen("disconnected", err.Error()) }))
	go activator.ReportStats(logger, observedSink{s.connection, s.events}, s.batches)

	// The reporter looks revisions up for its own telemetry only; it does with finding none.
	revisions := externalversions.NewSharedInformerFactory(nil, 0).Serving().V1().Revisions()
	ctx = context.WithValue(ctx, revision.Key{}, revisions)
	s.reporter = handler.NewConcurrencyReporter(ctx, "activator", s.batches, noop.NewMeterProvider())
	go s.reporter.Run(ctx.Done())
	return s
}

// pass lets requests through the reporter and returns when they have ended.
func (s *sender) pass(c command) {
	backend := s.reporter.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		time.Sleep(time.Duration(c.Seconds * float64(time.Second)))
	}))
	var pending sync.WaitGroup
	for range c.Requests {
		pending.Go(func() {
			request := httptest.NewRequest(http.MethodGet, "/", nil)
			backend(httptest.NewRecorder(), request.WithContext(
				handler.WithRevisionAndID(request.Context(), nil, c.key())))
		})
	}
	pending.Wait()
}

func (s *sender) report(messages []message) {
	batch := make([]metrics.StatMessage, 0, len(messages))
	for _, m := range messages {
		key := types.NamespacedName{Namespace: m.Namespace, Name: m.Name}
		batch = append(batch, metrics.StatMessage{Key: key, Stat: m.Stat})
	}
	s.batches <- batch
}

func (s *sender) sendRaw(text string, binary bool) error {
	kind := websocket.TextMessage
	if binary {
		kind = websocket.BinaryMessage
	}
	return s.connection.SendRaw(kind, []byte(text))
}

func (s *sender) do(c command) error {
	switch {
	case c.Messages != nil:
		s.report(c.Messages)
	case c.Requests > 0:
		s.pass(c)
	case c.Raw != nil:
		return s.sendRaw(*c.Raw, c.Binary)
	case c.Frames > 0:
		s.events.wait("sent", c.Frames)
	case c.Connections > 0:
		s.events.wait("connected", c.Connections)
	default:
		time.Sleep(time.Duration(c.Wait * float64(time.Second)))
	}
	return nil
}

func run(target string, script io.Reader) error {
	ctx, cancel := context.WithCancel(logging.WithLogger(context.Background(), zap.NewNop().Sugar()))
	defer cancel()
	s := newSender(ctx, target) // the end of the process closes the connection; Shutdown waits 10 s for a read
	s.events.wait("connected", 1)

	lines := json.NewDecoder(script)
	for {
		var c command
		if err := lines.Decode(&c); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("script: %w", err)
		}
		if err := s.do(c); err != nil {
			return err
		}
	}
}

func main() {
	flag.Parse()
	if err := run(flag.Arg(0), os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "statsender:", err)
		os.Exit(1)
	}
}
