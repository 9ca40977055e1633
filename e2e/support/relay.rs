//! A way to a server that can be shut: for one test the server is away, for the others it is not.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

pub struct Relay {
    pub address: SocketAddr,
    server: String,
    open: Option<JoinHandle<()>>,
}

impl Relay {
    /// Open, to a server given as `host:port`.
    pub async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let open = Some(tokio::spawn(carry(listener, server.to_owned())));
        Self { address, server: server.to_owned(), open }
    }

    /// Connections are refused from now on, and those under way are cut.
    pub async fn shut(&mut self) {
        if let Some(open) = self.open.take() {
            open.abort();
            let _ = open.await;
        }
    }

    pub async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("its port again");
        self.open = Some(tokio::spawn(carry(listener, self.server.clone())));
    }
}

async fn carry(listener: TcpListener, server: String) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let server = server.clone();
        connections.spawn(async move {
            if let Ok(mut upstream) = TcpStream::connect(server).await {
                let _ = copy_bidirectional(&mut client, &mut upstream).await;
            }
        });
    }
}
