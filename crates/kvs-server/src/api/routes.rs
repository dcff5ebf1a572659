//! Which path leads to which function.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::routing::{MethodRouter, post};
use kvs_protocol::api::Operation;
use kvs_protocol::{ApiError, ErrorKind};

use super::reply::Refusal;
use super::{absent, archived_media, configurations, control, media, tags};
use crate::app::App;
use crate::ingest;

/// The paths of all operations.
pub(crate) fn operations() -> Router<Arc<App>> {
    let routes = Operation::ALL.iter().copied();
    routes.fold(Router::new(), |router, operation| {
        router.route(operation.path(), handler(operation))
    })
}

fn handler(operation: Operation) -> MethodRouter<Arc<App>> {
    match operation {
        Operation::CreateStream => post(control::create_stream),
        Operation::DescribeStream => post(control::describe_stream),
        Operation::ListStreams => post(control::list_streams),
        Operation::DeleteStream => post(control::delete_stream),
        Operation::UpdateStream => post(control::update_stream),
        Operation::UpdateDataRetention => post(control::update_data_retention),
        Operation::TagStream => post(tags::tag_stream),
        Operation::UntagStream => post(tags::untag_stream),
        Operation::ListTagsForStream => post(tags::list_tags_for_stream),
        Operation::TagResource => post(tags::tag_resource),
        Operation::UntagResource => post(tags::untag_resource),
        Operation::ListTagsForResource => post(tags::list_tags_for_resource),
        Operation::DescribeImageGenerationConfiguration => {
            post(configurations::describe_image_generation)
        }
        Operation::UpdateImageGenerationConfiguration => {
            post(configurations::update_image_generation)
        }
        Operation::DescribeNotificationConfiguration => post(configurations::describe_notification),
        Operation::UpdateNotificationConfiguration => post(configurations::update_notification),
        Operation::DescribeStreamStorageConfiguration => {
            post(configurations::describe_stream_storage)
        }
        Operation::UpdateStreamStorageConfiguration => post(configurations::update_stream_storage),
        Operation::GetDataEndpoint => post(control::get_data_endpoint),
        Operation::PutMedia => post(ingest::put_media),
        Operation::GetMedia => post(media::get_media),
        Operation::ListFragments => post(archived_media::list_fragments),
        Operation::GetMediaForFragmentList => post(archived_media::get_media_for_fragment_list),
        _ => post(unknown_operation),
    }
}

/// What every other path and method is answered.
pub(crate) async fn unknown_operation(request: Request) -> Refusal {
    let (method, path) = (request.method(), request.uri().path());
    let message = format!("{method} {path} {}.", absent::reason(path));
    ApiError::new(ErrorKind::UnknownOperation, message).into()
}
