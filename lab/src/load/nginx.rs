//! nginx of the distribution inside a server's namespace, with its own prefix and configuration.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    LabError,
    scenario::Addresses,
    topology::{Address, Namespace, Running},
};

/// The one file served; a `Range` header asks for as much of it as an answer should have. Sparse: it costs no disk.
const BLOB_BYTES: u64 = 8 << 20;
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Starts one; `scratch` is the lab's directory.
pub(crate) fn start(
    scratch: &Path,
    namespace: &Namespace,
    addresses: Addresses,
    cpu: Option<usize>,
) -> Result<Running, LabError> {
    let at = match addresses {
        Addresses::Ipv4 => "80",
        Addresses::Ipv6 => "[::]:80",
    };
    let prefix = scratch.join(namespace.name());
    fs::create_dir_all(&prefix).map_err(LabError::file(&prefix))?;
    let blob = prefix.join("blob");
    fs::File::create(&blob).and_then(|file| file.set_len(BLOB_BYTES)).map_err(LabError::file(&blob))?;
    let configuration = prefix.join("nginx.conf");
    fs::write(&configuration, configuration_text(&prefix, at)).map_err(LabError::file(&configuration))?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(&prefix).arg("-c").arg(&configuration).args(["-e", "stderr"]);
    Running::start("nginx", "nginx-light", command, namespace, &prefix.join("nginx.log"), cpu)
}

fn configuration_text(prefix: &Path, at: &str) -> String {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("  {name}_temp_path {}/{name};\n", prefix.display()))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {prefix}/nginx.pid;\nerror_log stderr error;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n{temporary}  access_log off;\n  default_type application/octet-stream;\n  sendfile on;\n  \
         keepalive_requests 1000000;\n  keepalive_timeout 300;\n  \
         server {{ listen {at} backlog=1024; root {prefix}; }}\n}}\n",
        prefix = prefix.display()
    )
}

/// Waits until the server accepts a connection from the client's side.
pub(crate) fn wait_until_ready(server: &Running, address: Address, client: &Namespace) -> Result<(), LabError> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        server.check()?;
        let attempt = client.within("connect to nginx", || {
            TcpStream::connect_timeout(&SocketAddr::new(address, 80), Duration::from_secs(1))
        });
        match attempt {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => {
                return Err(server.failed(format!("no connection within {} s ({error})", READY_WITHIN.as_secs())));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
