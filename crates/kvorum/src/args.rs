//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::net::url::ListenUrl;
use crate::server::flags::ServerArgs;

/// etcd, wherever WebAssembly runs.
#[derive(Debug, Parser)]
#[command(name = "kvorum", version)]
pub(crate) struct Args {
    /// What to log to stderr: error, warn, info, debug, or a filter as `kvorum=debug`
    #[arg(long, global = true, env = "KVORUM_LOG", default_value = "warn")]
    pub(crate) log: String,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to run.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the page, the relay between its members, and etcd's API, without a member of its own
    Hub(HubArgs),
    /// Run a member that keeps its data in a directory here, with etcd's flags and API
    Server(ServerArgs),
}

/// How to run a hub.
#[derive(Debug, clap::Args)]
pub(crate) struct HubArgs {
    /// Where to listen; several with commas between them
    #[arg(long, value_delimiter = ',', default_value = "http://127.0.0.1:2379")]
    pub(crate) listen_client_urls: Vec<ListenUrl>,
    /// Where the hub keeps which cluster owns which name; made when missing
    #[arg(long, value_name = "DIR", default_value = "hub.kvorum")]
    pub(crate) data_dir: PathBuf,
    /// The page's files
    #[arg(long, value_name = "DIR")]
    pub(crate) site: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }
}
