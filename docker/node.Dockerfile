# A hospital's node: its documents, its search, its policy; no router, aggregator, reasoner or model library.
#
#   docker build -f docker/node.Dockerfile --target node -t fedrag-node .
#   docker build -f docker/node.Dockerfile --target node-reasoning -t fedrag-node-reasoning .
#
# Without a package registry: put the wheels into docker/wheels (docs/containers.md) and add
#   --build-arg PIP_ARGS="--no-index --find-links /wheels" --build-arg ENCODER="--from /wheels/NAME.whl"

ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS build
ARG PIP_ARGS=""
ARG ENCODER=""
# COUNTS=1 adds the library that draws noise for counts of patients, about 260 MB; without it they are refused.
ARG COUNTS=""
COPY docker/wheels /wheels
COPY docker/node.lock docker/counts.lock docker/export.lock /build/
RUN python3 -m venv /build/pip && python3 -m venv --without-pip /opt/fedrag \
 && /build/pip/bin/pip --python /opt/fedrag/bin/python install --no-cache-dir ${PIP_ARGS} --require-hashes -r /build/node.lock \
 && if [ -n "${COUNTS}" ]; then /build/pip/bin/pip --python /opt/fedrag/bin/python install --no-cache-dir ${PIP_ARGS} --require-hashes -r /build/counts.lock; fi \
 && cd /opt/fedrag/lib/python3.11/site-packages && rm -rf huggingface_hub hf_xet onnxruntime/transformers */tests
# The encoder is exported and checked against its known hash and vector here, once.
COPY fedrag /build/source/fedrag
RUN /build/pip/bin/pip install --no-cache-dir ${PIP_ARGS} --require-hashes -r /build/node.lock -r /build/export.lock \
 && cd /build/source && FEDRAG_HOME=/opt/models /build/pip/bin/python -m fedrag setup ${ENCODER} \
 && chmod -R a+rX /opt/models

FROM ${BASE_IMAGE} AS node
COPY --from=build /opt/fedrag /opt/fedrag
COPY --from=build /opt/models /opt/models
COPY fedrag/__init__.py fedrag/stopwatch.py fedrag/terminal.py fedrag/tracing.py /opt/fedrag/lib/python3.11/site-packages/fedrag/
COPY fedrag/core /opt/fedrag/lib/python3.11/site-packages/fedrag/core
COPY fedrag/encoders /opt/fedrag/lib/python3.11/site-packages/fedrag/encoders
COPY fedrag/http /opt/fedrag/lib/python3.11/site-packages/fedrag/http
COPY fedrag/privacy /opt/fedrag/lib/python3.11/site-packages/fedrag/privacy
COPY fedrag/redaction /opt/fedrag/lib/python3.11/site-packages/fedrag/redaction
COPY retriever_node /opt/fedrag/lib/python3.11/site-packages/retriever_node
COPY docker/fedrag-node /opt/fedrag/bin/fedrag-node
RUN /opt/fedrag/bin/python -m compileall -q /opt/fedrag/lib/python3.11/site-packages/fedrag \
      /opt/fedrag/lib/python3.11/site-packages/retriever_node \
 && mkdir -p /var/lib/fedrag && chown 10001:10001 /var/lib/fedrag && chmod 700 /var/lib/fedrag
ENV PATH=/opt/fedrag/bin:$PATH FEDRAG_HOME=/opt/models FEDRAG_NODE_HOME=/var/lib/fedrag/node PYTHONUNBUFFERED=1
USER 10001:10001
VOLUME /var/lib/fedrag
EXPOSE 8801
HEALTHCHECK --interval=20s --timeout=10s --start-period=60s --retries=3 CMD ["fedrag-node", "health"]
ENTRYPOINT ["fedrag-node"]
CMD ["serve", "--host", "0.0.0.0"]

FROM node AS node-reasoning
COPY reasoner /opt/fedrag/lib/python3.11/site-packages/reasoner
