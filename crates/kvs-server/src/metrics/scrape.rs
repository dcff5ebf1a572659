//! What is looked up when the page is asked for: the store's room and each stream's last fragment.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::store::Store;

#[derive(Debug)]
pub(super) struct Scrape {
    store: Store,
}

impl Scrape {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    fn streams(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "How long ago the stream's last fragment began to arrive";
        let name = "stream_last_fragment_age";
        let unit = Some(&Unit::Seconds);
        let mut ages = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (stream, age_ms) in self.store.ages_ms() {
            let labels = [("stream", stream.name.as_str())];
            let seconds = age_ms as f64 / 1000.0;
            ages.encode_family(&labels)?.encode_gauge(&seconds)?;
        }
        Ok(())
    }

    fn usage(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        // A store whose index fails says nothing here, and is not healthy.
        let usage = self.store.usage().unwrap_or_default();
        let help = "What the stream's fragments take on the disk";
        let unit = Some(&Unit::Bytes);
        let mut used = encoder.encode_descriptor("stream_disk", help, unit, MetricType::Gauge)?;
        for stream in self.store.streams() {
            let labels = [("stream", stream.name.as_str())];
            let bytes = usage.get(&stream.id).map_or(0, |usage| usage.bytes);
            used.encode_family(&labels)?.encode_gauge(&bytes)?;
        }
        Ok(())
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "1 while what is sent would be stored, else 0; /healthz says why";
        encoder
            .encode_descriptor("healthy", help, None, MetricType::Gauge)?
            .encode_gauge(&u64::from(self.store.health().is_ok()))?;
        let help = "What all fragments take on the disk";
        encoder
            .encode_descriptor("stored", help, Some(&Unit::Bytes), MetricType::Gauge)?
            .encode_gauge(&self.store.stored_bytes())?;
        if let Some(free_bytes) = self.store.free_bytes() {
            let help = "Room on the disk of the data folder";
            encoder
                .encode_descriptor("disk_free", help, Some(&Unit::Bytes), MetricType::Gauge)?
                .encode_gauge(&free_bytes)?;
        }
        self.streams(&mut encoder)?;
        self.usage(&mut encoder)
    }
}
