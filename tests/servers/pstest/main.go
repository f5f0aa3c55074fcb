// Command pstest serves the Google Pub/Sub protocol on loopback, in memory, for tests and benchmarks.
//
// It is told things on its standard input and ends when that is closed; each line is one of
//
//	{"fail": "Pull", "code": 14, "message": "away", "times": 3, "reason": ""}
//	{"count": true}
//
// The first makes calls of a method fail, with a reason for each of the request's ack ids where there
// is one, as the service does for exactly-once subscriptions. Each line is answered by one of counts.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var methods = []string{"Publish", "Pull", "Acknowledge", "ModifyAckDeadline"}

type order struct {
	Fail    string
	Code    codes.Code
	Message string
	Times   int
	Reason  string
}

// failures holds what was ordered for one method; pstest asks it before each call of that method.
type failures struct {
	mu   sync.Mutex
	next []order
}

func (f *failures) add(ordered order) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range ordered.Times {
		f.next = append(f.next, ordered)
	}
}

// React implements pstest.Reactor.
func (f *failures) React(request any) (bool, any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.next) == 0 {
		return false, nil, nil
	}
	ordered := f.next[0]
	f.next = f.next[1:]
	failed := status.New(ordered.Code, ordered.Message)
	if named, ok := request.(interface{ GetAckIds() []string }); ok && ordered.Reason != "" {
		reasons := map[string]string{}
		for _, id := range named.GetAckIds() {
			reasons[id] = ordered.Reason
		}
		detailed, err := failed.WithDetails(&errdetails.ErrorInfo{Metadata: reasons})
		if err == nil {
			failed = detailed
		}
	}
	return true, nil, failed.Err()
}

func counts(server *pstest.Server) map[string]int {
	found := map[string]int{}
	for _, message := range server.Messages() {
		found["published"]++
		found["deliveries"] += message.Deliveries
		found["acks"] += message.Acks
		found["modacks"] += len(message.Modacks)
		if message.Acks == 0 {
			found["waiting"]++
		}
	}
	return found
}

func main() {
	port := flag.Int("port", 0, "the port on loopback; 0 is any")
	inOrder := flag.Bool("fifo", false, "hand out messages in order, each once")
	flag.Parse()
	ordered := map[string]*failures{}
	options := []pstest.ServerReactorOption{}
	for _, method := range methods {
		ordered[method] = &failures{}
		options = append(options, pstest.ServerReactorOption{FuncName: method, Reactor: ordered[method]})
	}
	queue := &fifo{}
	if *inOrder {
		options = append(options, queue.options()...)
	}
	pstest.SetMinAckDeadline(time.Second) // the service's is 10 s, which tests need not wait for
	server := pstest.NewServerWithPort(*port, options...)
	defer server.Close()
	fmt.Println(server.Addr)
	answers := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var said order
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if method := ordered[said.Fail]; method != nil {
			method.add(said)
		}
		if *inOrder {
			answers.Encode(queue.counts())
		} else {
			answers.Encode(counts(server))
		}
	}
}
