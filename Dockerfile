# The controller's image: one static binary and the public certificate authorities, nothing else. `make image` builds it.
# The binary depends on the sources, on the base and on Alpine's packages of the day (gcc, musl-dev, the authorities). The base is pinned
# by its digest with --build-arg RUST_IMAGE=rust:1.95.0-alpine@sha256:..., the packages are not: deploy an image by its own digest.
ARG RUST_IMAGE=rust:1.95.0-alpine

FROM ${RUST_IMAGE} AS build
# ring has C in it.
RUN apk add --no-cache gcc musl-dev ca-certificates-bundle
WORKDIR /src
COPY . .
# Paths of this stage stand in no binary. On Alpine Rust links statically against musl.
ENV RUSTFLAGS="--remap-path-prefix=/src=. --remap-path-prefix=/usr/local/cargo=cargo -C target-feature=+crt-static" \
    CARGO_INCREMENTAL=0
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --locked --profile dist --bin tidegate \
    && install -D -m 0755 target/dist/tidegate /image/tidegate \
    && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
    && find /image -exec touch -h -d @0 {} +

FROM scratch
COPY --from=build /image /
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/tidegate"]
CMD ["controller"]
