#!/usr/bin/env bash
# A working day with the AWS CLI. Where the server is and who calls stands in AWS's own variables.
set -euo pipefail

export AWS_PAGER='' AWS_MAX_ATTEMPTS=1
day=$(mktemp -d)
trap 'rm -rf "$day"' EXIT
stream=cli-front-door

kvs() { aws --output text kinesisvideo "$@"; }
# Runs a command of a data API at the endpoint that the service names for it.
at() {
  local api=$1
  shift
  aws --output text --endpoint-url "$(endpoint "$api")" "$@"
}
media() { ../boto3/.venv/bin/python media.py "$@"; }
endpoint() { kvs get-data-endpoint --stream-name "$stream" --api-name "$1"; }
# is WHAT WANTED FOUND
is() {
  [ "$2" = "$3" ] || { printf '%s\n  wanted: %s\n  found:  %s\n' "$1" "$2" "$3" >&2; exit 1; }
  echo "ok: $1"
}
# refused ERROR COMMAND...
refused() {
  local wanted=$1 message
  shift
  message=$("$@" 2>&1) && { echo "wanted $wanted of: $*" >&2; exit 1; }
  case $message in
    *"($wanted)"*) echo "ok: $wanted" ;;
    *) printf 'wanted %s\n  found: %s\n' "$wanted" "$message" >&2; exit 1 ;;
  esac
}
describe() { kvs describe-stream --stream-name "$stream" --query "StreamInfo.$1"; }

# In the morning a stream is made.
arn=$(kvs create-stream --stream-name "$stream" --data-retention-in-hours 24 \
  --media-type video/h264 --device-name camera --tags site=home)
is create-stream "$arn" "$(describe StreamARN)"
is describe-stream "ACTIVE 24 video/h264 camera" \
  "$(describe '[Status,DataRetentionInHours,MediaType,DeviceName]' | tr '\t' ' ')"
refused ResourceInUseException kvs create-stream --stream-name "$stream"
kvs create-stream --stream-name "$stream-2" >/dev/null
is list-streams "$stream $stream-2" "$(kvs list-streams --page-size 1 \
  --stream-name-condition "ComparisonOperator=BEGINS_WITH,ComparisonValue=$stream" \
  --query 'StreamInfoList[].StreamName' | xargs)"

# It gets its tags, in both forms.
kvs tag-stream --stream-name "$stream" --tags floor=1,door=front
kvs tag-resource --resource-arn "$arn" --tags Key=door,Value=back
kvs untag-stream --stream-name "$stream" --tag-key-list floor
is "tag-stream, tag-resource, untag-stream, list-tags-for-stream" "back home" \
  "$(kvs list-tags-for-stream --stream-name "$stream" --query 'Tags.[door,site]' | xargs)"
kvs untag-resource --resource-arn "$arn" --tag-key-list door
is "untag-resource, list-tags-for-resource" '{"site":"home"}' "$(kvs list-tags-for-resource \
  --resource-arn "$arn" --query Tags --output json | tr -d ' \n')"

# It is to be kept for longer, and the camera is another.
kvs update-stream --stream-name "$stream" --current-version "$(describe Version)" \
  --device-name camera-2
is update-stream camera-2 "$(describe DeviceName)"
kvs update-data-retention --stream-name "$stream" --current-version "$(describe Version)" \
  --operation INCREASE_DATA_RETENTION --data-retention-change-in-hours 24
is update-data-retention 48 "$(describe DataRetentionInHours)"

# What else may be asked of it is kept, and shown.
kvs update-image-generation-configuration --stream-name "$stream" \
  --image-generation-configuration "Status=ENABLED,ImageSelectorType=PRODUCER_TIMESTAMP,\
DestinationConfig={Uri=s3://bucket/cam,DestinationRegion=us-west-2},SamplingInterval=3000,Format=PNG"
is "update- and describe-image-generation-configuration" "ENABLED 3000 PNG" \
  "$(kvs describe-image-generation-configuration --stream-name "$stream" \
    --query 'ImageGenerationConfiguration.[Status,SamplingInterval,Format]' | xargs)"
kvs update-notification-configuration --stream-name "$stream" --notification-configuration \
  Status=ENABLED,DestinationConfig={Uri=arn:aws:sns:us-west-2:000000000000:cam}
is "update- and describe-notification-configuration" ENABLED \
  "$(kvs describe-notification-configuration --stream-arn "$arn" \
    --query NotificationConfiguration.Status)"
kvs update-stream-storage-configuration --stream-name "$stream" \
  --current-version "$(describe Version)" --stream-storage-configuration DefaultStorageTier=WARM
is "update- and describe-stream-storage-configuration" WARM \
  "$(kvs describe-stream-storage-configuration --stream-name "$stream" \
    --query StreamStorageConfiguration.DefaultStorageTier)"

# During the day it is recorded, listed and looked at.
is get-data-endpoint "$AWS_ENDPOINT_URL" "$(endpoint GET_MEDIA)"
mapfile -t numbers < <(media upload "$(endpoint PUT_MEDIA)" "$stream" 5)
is "an upload is persisted" 5 "${#numbers[@]}"
range=TimestampRange='{StartTimestamp=1700000001,EndTimestamp=2023-11-14T22:13:23Z}'
is list-fragments "${numbers[*]:1:3}" "$(at LIST_FRAGMENTS kinesis-video-archived-media \
  list-fragments --stream-name "$stream" --page-size 2 \
  --fragment-selector "FragmentSelectorType=PRODUCER_TIMESTAMP,$range" \
  --query 'Fragments[].FragmentNumber' | xargs)"
at GET_MEDIA kinesis-video-media get-media --stream-name "$stream" \
  --start-selector StartSelectorType=EARLIEST "$day/all.mkv" >/dev/null
is get-media "${numbers[*]}" "$(media numbers "$day/all.mkv" | xargs)"
is "the frames of get-media" "frame at 1700000000000" \
  "$(media frames "$day/all.mkv" | sed -n 1p)"
at GET_MEDIA_FOR_FRAGMENT_LIST kinesis-video-archived-media get-media-for-fragment-list "$day/two.mkv" \
  --stream-name "$stream" --fragments "${numbers[3]}" "${numbers[1]}" >/dev/null
is get-media-for-fragment-list "${numbers[3]} ${numbers[1]}" \
  "$(media numbers "$day/two.mkv" | xargs)"

# Somebody tries what is not for him.
AWS_PROFILE=narrow refused NotAuthorizedException kvs describe-stream --stream-name "$stream"
AWS_PROFILE=narrow refused NotAuthorizedException kvs create-stream --stream-name "$stream-3"

# In the evening it is deleted.
refused VersionMismatchException kvs delete-stream --stream-arn "$arn" --current-version another
kvs delete-stream --stream-arn "$arn" --current-version "$(describe Version)"
refused ResourceNotFoundException describe Status
