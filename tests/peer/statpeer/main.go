// Command statpeer is the half of a Knative autoscaler that passes stats on: its stat server and its forwarder, as
// cmd/autoscaler/main.go connects them. Peers' stat servers are at port 8080 of their addresses, as in a cluster.
//
//	SYSTEM_NAMESPACE=knative-serving POD_IP=127.0.0.31 statpeer 127.0.0.31:8080 BUCKETS < leases
//
// A line of the input is what the Lease of a bucket says: {"bucket": "autoscaler-bucket-00-of-01", "holder": "POD_IP"}.
// Stats that this replica decides on are printed, one JSON object a line. It ends with its input.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrs "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/pkg/client/injection/kube/informers/coordination/v1/lease"
	"knative.dev/pkg/client/injection/kube/informers/core/v1/endpoints"
	"knative.dev/pkg/logging"
	"knative.dev/pkg/system"
	"knative.dev/serving/pkg/autoscaler/bucket"
	"knative.dev/serving/pkg/autoscaler/metrics"
	"knative.dev/serving/pkg/autoscaler/statforwarder"
	"knative.dev/serving/pkg/autoscaler/statserver"
)

// change is one line of the input.
type change struct {
	Bucket string `json:"bucket"`
	Holder string `json:"holder"`
}

// accepted is one line of the output; the names of the stat are those of the wire form.
type accepted struct {
	Namespace string       `json:"namespace"`
	Name      string       `json:"name"`
	Stat      metrics.Stat `json:"stat"`
}

// cluster is an API server with the objects that the forwarder follows.
func cluster(ctx context.Context) (context.Context, kubernetes.Interface) {
	client := fake.NewClientset()
	factory := informers.NewSharedInformerFactory(client, 0)
	leases, ends := factory.Coordination().V1().Leases(), factory.Core().V1().Endpoints()
	leases.Informer()
	ends.Informer()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	ctx = context.WithValue(ctx, kubeclient.Key{}, kubernetes.Interface(client))
	ctx = context.WithValue(ctx, lease.Key{}, leases)
	return context.WithValue(ctx, endpoints.Key{}, ends), client
}

// write makes a Lease say who holds its bucket.
func write(ctx context.Context, client kubernetes.Interface, c change) error {
	leases := client.CoordinationV1().Leases(system.Namespace())
	wanted := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: c.Bucket},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &c.Holder},
	}
	_, err := leases.Create(ctx, wanted, metav1.CreateOptions{})
	if apierrs.IsAlreadyExists(err) {
		_, err = leases.Update(ctx, wanted, metav1.UpdateOptions{})
	}
	return err
}

// pass hands what the stat server received to the forwarder.
func pass(received <-chan metrics.StatMessage, forwarder *statforwarder.Forwarder) {
	for message := range received {
		if message.Stat.Timestamp == 0 {
			message.Stat.Timestamp = time.Now().Unix()
		}
		forwarder.Process(message)
	}
}

func run(address string, buckets int, changes io.Reader) error {
	logger := zap.NewNop().Sugar()
	ctx, cancel := context.WithCancel(logging.WithLogger(context.Background(), logger))
	defer cancel()
	ctx, client := cluster(ctx)

	var printing sync.Mutex
	forwarder := statforwarder.New(ctx, bucket.AutoscalerBucketSet(uint32(buckets)))
	err := statforwarder.LeaseBasedProcessor(ctx, forwarder, func(message metrics.StatMessage) {
		line, _ := json.Marshal(accepted{message.Key.Namespace, message.Key.Name, message.Stat})
		printing.Lock()
		defer printing.Unlock()
		fmt.Println(string(line))
	})
	if err != nil {
		return err
	}
	received := make(chan metrics.StatMessage, 1000)
	go pass(received, forwarder)
	server := statserver.New(address, received, logger, forwarder.IsBucketOwner)
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()

	lines, next := json.NewDecoder(changes), make(chan error)
	for {
		var c change
		go func() { next <- lines.Decode(&c) }()
		select {
		case err := <-failed:
			return err
		case err := <-next:
			if err == io.EOF {
				return nil
			}
			if err == nil {
				err = write(ctx, client, c)
			}
			if err != nil {
				return fmt.Errorf("input: %w", err)
			}
		}
	}
}

func main() {
	buckets, err := strconv.Atoi(os.Args[2])
	if err == nil {
		err = run(os.Args[1], buckets, os.Stdin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "statpeer:", err)
		os.Exit(1)
	}
}
