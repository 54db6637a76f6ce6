"""Constructor arguments of the public classes that cannot be built without any, and non-default ones for the rest.

The contracts build every class from here, so that a round trip that forgets an argument cannot pass on defaults.
"""

ARGUMENTS = {}
