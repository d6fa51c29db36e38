# What `deploy.py` pushes, by way of an engine.
FROM scratch
COPY tarpon-agent /tarpon-agent
ENTRYPOINT ["/tarpon-agent"]
