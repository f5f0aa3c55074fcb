package main

import (
	"fmt"
	"sync"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// fifo answers in the place of pstest, which looks through all its messages for each request and
// hands them out in any order: first in, first out, each message once. For benchmarks.
type fifo struct {
	mu       sync.Mutex
	messages []*pb.ReceivedMessage
	pulled   int
	acks     int
}

// React implements pstest.Reactor.
func (f *fifo) React(request any) (bool, any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch asked := request.(type) {
	case *pb.PublishRequest:
		answer := &pb.PublishResponse{}
		for _, message := range asked.Messages {
			message.MessageId = fmt.Sprint(len(f.messages))
			message.PublishTime = timestamppb.New(time.Now())
			answer.MessageIds = append(answer.MessageIds, message.MessageId)
			received := &pb.ReceivedMessage{AckId: fmt.Sprintf("%0170s", message.MessageId), Message: message}
			f.messages = append(f.messages, received)
		}
		return true, answer, nil
	case *pb.PullRequest:
		first := f.pulled
		f.pulled = min(first+int(asked.MaxMessages), len(f.messages))
		return true, &pb.PullResponse{ReceivedMessages: f.messages[first:f.pulled]}, nil
	case *pb.AcknowledgeRequest:
		f.acks += len(asked.AckIds)
	}
	return true, &emptypb.Empty{}, nil
}

func (f *fifo) counts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return map[string]int{
		"published":  len(f.messages),
		"deliveries": f.pulled,
		"acks":       f.acks,
		"waiting":    len(f.messages) - f.acks,
	}
}

func (f *fifo) options() []pstest.ServerReactorOption {
	options := []pstest.ServerReactorOption{}
	for _, method := range methods {
		options = append(options, pstest.ServerReactorOption{FuncName: method, Reactor: f})
	}
	return options
}
