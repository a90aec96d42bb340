"""`python -m retriever_node` is `fedrag-node`."""

from retriever_node.cli import main

if __name__ == "__main__":
    main()
