# syntax=docker/dockerfile:1
# The program on a small image, for workflow systems that run containers:
#
#   docker build -t doremi:0.1.0 .
#   docker run --rm -v "$PWD/runs:/data" doremi:0.1.0 run /opt/doremi/pipelines/quickstart.yaml --output /data/quickstart
ARG NODE_VERSION=22

FROM node:${NODE_VERSION}-bookworm-slim AS build
WORKDIR /build
# Before the sources: the packages are installed anew only where the lock file has changed.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-fund --no-audit
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
# ONNX Runtime's package holds the binaries of every system: of 290 MB, those of the others are 220.
RUN npm run --silent build && npm prune --omit=dev --no-fund --no-audit \
    && rm -r node_modules/onnxruntime-node/bin/napi-v*/darwin node_modules/onnxruntime-node/bin/napi-v*/win32

FROM node:${NODE_VERSION}-bookworm-slim
LABEL org.opencontainers.image.title="doremi" \
      org.opencontainers.image.description="Learn how much of each domain a language model should be trained on, and write the resampled training set as a manifest" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
ENV NODE_ENV=production
WORKDIR /opt/doremi
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY package.json README.md CHANGELOG.md LICENSE ./
COPY pipelines ./pipelines
COPY examples ./examples
RUN ln -s /opt/doremi/dist/cli/main.js /usr/local/bin/doremi \
    && install -d -o 1000 -g 1000 /data
# The image's user `node`, by number: Kubernetes takes no name for proof that it is not root. A volume on /data has to be
# writable for it.
USER 1000:1000
WORKDIR /data
# doremi takes SIGTERM itself (it saves its state and leaves within 20 s) and ends its own threads: no init is needed.
STOPSIGNAL SIGTERM
ENTRYPOINT ["doremi"]
CMD ["--help"]
