"""Events as MQTT messages, for Home Assistant and other subscribers."""
