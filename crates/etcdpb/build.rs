//! Compiles etcd's protobuf definitions, without a protoc.

const FILES: [&str; 6] = [
    "etcd/auth.proto",
    "etcd/cluster.proto",
    "etcd/kv.proto",
    "etcd/lease.proto",
    "etcd/maintenance.proto",
    "etcd/watch.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    // Keys and values are passed on as slices of the message that brought them. The transport
    // is the caller's: this crate also compiles where there are no sockets.
    tonic_prost_build::configure().bytes(".").build_transport(false).compile_fds(descriptors)?;
    Ok(())
}
