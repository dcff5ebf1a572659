//! The one task that does what the session asks for, and tells it what came of it.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::disk::Disk;
use super::event::ProducerEvent;
use super::put_media;
use super::session::{Head, Input, LinkId, Output};
use super::shared::{MediaBody, Shared};
use crate::task::OwnedTask;
use crate::{DataApi, NewStream, Service, clock};

/// Acks that wait for the driver. More hold the connection's reading back, which does no harm.
const INPUTS_MAX: usize = 64;
/// How long a connection whose last ack has come may take to end in good form.
const LINGER: Duration = Duration::from_secs(2);

type Call = Pin<Box<dyn Future<Output = Input> + Send>>;

/// What the driver has under way.
struct Driver {
    service: Service,
    create: NewStream,
    tags: BTreeMap<String, String>,
    shared: Arc<Shared>,
    calls: FuturesUnordered<Call>,
    disk: Option<Disk>,
    /// Dropping a task breaks its connection off.
    links: HashMap<LinkId, OwnedTask>,
    inputs: mpsc::Sender<Input>,
}

/// Runs a session to its end.
pub(super) async fn run(
    service: Service,
    create: NewStream,
    tags: BTreeMap<String, String>,
    shared: Arc<Shared>,
    disk: Option<Disk>,
    mut on_event: impl FnMut(ProducerEvent) + Send,
) {
    let (sender, mut inputs) = mpsc::channel(INPUTS_MAX);
    let mut driver = Driver {
        service,
        create,
        tags,
        shared: Arc::clone(&shared),
        calls: FuturesUnordered::new(),
        disk,
        links: HashMap::new(),
        inputs: sender,
    };
    shared.handle(Input::Start);
    let mut outputs = Vec::new();
    loop {
        let (due, over) = shared.poll_outputs(&mut outputs);
        for output in outputs.drain(..) {
            match output {
                Output::Event(event) => on_event(event),
                output => driver.obey(output),
            }
        }
        if over {
            break;
        }
        tokio::select! {
            () = shared.changed() => {}
            Some(input) = inputs.recv() => driver.pass(input),
            Some(input) = driver.calls.next() => shared.handle(input),
            input = next_of(&mut driver.disk) => shared.handle(input),
            () = sleep_until(due) => shared.handle(Input::Timeout),
        }
    }
    if let Some(disk) = driver.disk.take() {
        disk.finish().await;
    }
    shared.leave();
    driver.linger().await;
}

async fn next_of(disk: &mut Option<Disk>) -> Input {
    match disk {
        Some(disk) => disk.next().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

impl Driver {
    fn obey(&mut self, output: Output) {
        let service = self.service.clone();
        match output {
            Output::Describe => {
                self.call(async move { Input::Described(service.describe_stream().await) });
            }
            Output::Create => {
                let create = self.create.clone();
                self.call(
                    async move { Input::Created(service.create_stream(&create).await.map(drop)) },
                );
            }
            Output::Tag => {
                let tags = self.tags.clone();
                self.call(async move { Input::Tagged(service.tag_stream(&tags).await) });
            }
            Output::Locate => self.call(async move {
                Input::Located(service.data_endpoint(DataApi::PutMedia).await.map(drop))
            }),
            Output::ForgetEndpoint => service.invalidate_endpoint(DataApi::PutMedia),
            Output::ForgetCredentials => service.invalidate_credentials(),
            Output::Connect(link, head) => {
                let body = MediaBody::new(Arc::clone(&self.shared), link);
                let task = connect(service, link, head, body, self.inputs.clone());
                self.links.insert(link, OwnedTask::spawn(task));
            }
            Output::Close(link) => drop(self.links.remove(&link)),
            Output::Save(..) | Output::Fetch(_) | Output::Release(_) | Output::Remove(_) => {
                if let Some(disk) = &mut self.disk {
                    disk.add(output);
                }
            }
            Output::Event(_) => {}
        }
    }

    fn call(&self, call: impl Future<Output = Input> + Send + 'static) {
        self.calls.push(Box::pin(call));
    }

    fn pass(&mut self, input: Input) {
        if let Input::Ended(link, _) | Input::Refused(link, _) = &input {
            self.links.remove(link);
        }
        self.shared.handle(input);
    }

    /// Lets connections that were ended in good form say goodbye.
    async fn linger(mut self) {
        let tasks = self.links.values_mut().map(OwnedTask::ended);
        let ended = futures_util::future::join_all(tasks);
        // Whoever does not end by then is broken off.
        let _ = tokio::time::timeout(LINGER, ended).await;
    }
}

/// One connection, from its opening to its end.
async fn connect(
    service: Service,
    link: LinkId,
    head: Head,
    body: MediaBody,
    inputs: mpsc::Sender<Input>,
) {
    let mut acks = match put_media::open(&service, head, body, clock::wall()).await {
        Ok(acks) => acks,
        Err(error) => {
            let _ = inputs.send(Input::Refused(link, error)).await;
            return;
        }
    };
    let valid_for = acks
        .expires
        .map(|at| at.duration_since(clock::wall()).unwrap_or_default());
    let mut input = Input::Accepted(link, valid_for);
    // The driver takes no more inputs once it is over; then nobody wants the rest.
    while inputs.send(input).await.is_ok() {
        input = match acks.next().await {
            Ok(Some(ack)) => Input::Ack(link, ack),
            Ok(None) => {
                let why = "the service has ended the connection".to_owned();
                let _ = inputs.send(Input::Ended(link, why)).await;
                return;
            }
            Err(why) => {
                let _ = inputs.send(Input::Ended(link, why)).await;
                return;
            }
        };
    }
}
