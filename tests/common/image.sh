#!/bin/sh
# Makes a container image on the spot, of a static busybox: its root in /image/rootfs, and all of it as
# an OCI layout (image-spec image-layout.md) in /image/box.tar. Its name is test/box:latest.
set -eu
mkdir -p /image/rootfs/bin /image/blobs/sha256
cd /image
cp "$(command -v busybox)" rootfs/bin/busybox
for applet in sh sleep cat; do ln -s busybox rootfs/bin/$applet; done

# Stores the file $1 by its digest, and sets "digest" and "size".
store() {
    digest=$(sha256sum <"$1")
    digest=${digest%% *}
    size=$(stat -c %s "$1")
    mv "$1" "blobs/sha256/$digest"
}
descriptor() {
    printf '"mediaType":"application/vnd.oci.image.%s","digest":"sha256:%s","size":%s' \
        "$1" "$digest" "$size"
}

case $(uname -m) in
    x86_64) architecture=amd64 ;;
    aarch64) architecture=arm64 ;;
    *) architecture=$(uname -m) ;;
esac
tar -C rootfs -cf layer .
store layer
layer=$(descriptor layer.v1.tar)
printf '{"architecture":"%s","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$architecture" "$digest" >config
store config
config=$(descriptor config.v1+json)
printf '{"schemaVersion":2,"config":{%s},"layers":[{%s}]}' "$config" "$layer" >manifest
store manifest
printf '{"schemaVersion":2,"manifests":[{%s,"annotations":{"io.containerd.image.name":"test/box:latest"}}]}' \
    "$(descriptor manifest.v1+json)" >index.json
printf '{"imageLayoutVersion":"1.0.0"}' >oci-layout
tar -cf box.tar oci-layout index.json blobs
