//! etcd's protobuf forms and gRPC services.
