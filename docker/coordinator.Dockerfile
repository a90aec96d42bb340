# The coordinator: router, aggregator, reasoner, the question-answering API and its page.
#
#   docker build -f docker/coordinator.Dockerfile -t fedrag-coordinator .
#
# Without a package registry: as in node.Dockerfile.

ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS build
ARG PIP_ARGS=""
ARG ENCODER=""
COPY docker/wheels /wheels
COPY requirements.lock docker/node.lock docker/export.lock /build/
RUN python3 -m venv /build/pip && python3 -m venv --without-pip /opt/fedrag \
 && /build/pip/bin/pip --python /opt/fedrag/bin/python install --no-cache-dir ${PIP_ARGS} --require-hashes -r /build/requirements.lock \
 && /build/pip/bin/pip --python /opt/fedrag/bin/python uninstall --yes --quiet onnx ml-dtypes \
 && cd /opt/fedrag/lib/python3.11/site-packages && rm -rf huggingface_hub hf_xet onnxruntime/transformers */tests
# The encoder is exported and checked against its known hash and vector here, once.
COPY fedrag /build/source/fedrag
RUN /build/pip/bin/pip install --no-cache-dir ${PIP_ARGS} --require-hashes -r /build/node.lock -r /build/export.lock \
 && cd /build/source && FEDRAG_HOME=/opt/models /build/pip/bin/python -m fedrag setup ${ENCODER} \
 && chmod -R a+rX /opt/models

FROM ${BASE_IMAGE} AS coordinator
COPY --from=build /opt/fedrag /opt/fedrag
COPY --from=build /opt/models /opt/models
COPY fedrag /opt/fedrag/lib/python3.11/site-packages/fedrag
COPY retriever_node /opt/fedrag/lib/python3.11/site-packages/retriever_node
COPY router /opt/fedrag/lib/python3.11/site-packages/router
COPY aggregator /opt/fedrag/lib/python3.11/site-packages/aggregator
COPY reasoner /opt/fedrag/lib/python3.11/site-packages/reasoner
COPY docker/fedrag /opt/fedrag/bin/fedrag
RUN /opt/fedrag/bin/python -m compileall -q /opt/fedrag/lib/python3.11/site-packages/fedrag \
      /opt/fedrag/lib/python3.11/site-packages/router /opt/fedrag/lib/python3.11/site-packages/aggregator \
      /opt/fedrag/lib/python3.11/site-packages/reasoner \
 && mkdir -p /var/lib/fedrag && chown 10001:10001 /var/lib/fedrag && chmod 700 /var/lib/fedrag
ENV PATH=/opt/fedrag/bin:$PATH FEDRAG_HOME=/opt/models FEDRAG_COORDINATOR_HOME=/var/lib/fedrag/coordinator PYTHONUNBUFFERED=1
USER 10001:10001
VOLUME /var/lib/fedrag
EXPOSE 8800
HEALTHCHECK --interval=20s --timeout=10s --start-period=60s --retries=3 CMD ["fedrag", "federation", "health"]
ENTRYPOINT ["fedrag"]
CMD ["serve", "--host", "0.0.0.0"]
