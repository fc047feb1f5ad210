"""The web page: current and past events, for browsers in the house.

An application of Starlette behind uvicorn, in a thread of its own. It takes records as a
sink does, asks the service how its sources are, and the store for what happened before;
`protocol` describes what it needs of them. Nothing it does can hold up the detection.
"""
