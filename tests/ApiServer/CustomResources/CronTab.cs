namespace Declarative.Tests.ApiServer.CustomResources;

/// <summary>A definition with two versions and everything that a version can have.</summary>
internal static class CronTab
{
    public const string Definition = """
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata:
          name: crontabs.stable.example.com
        spec:
          group: stable.example.com
          scope: Namespaced
          names:
            plural: crontabs
            kind: CronTab
            shortNames: [ct]
            categories: [all, timers]
          versions:
          - name: v1
            served: true
            storage: true
            schema:
              openAPIV3Schema:
                type: object
                description: A job that is started by the clock.
                properties:
                  spec:
                    type: object
                    required: [cronSpec]
                    x-kubernetes-validations:
                    - {rule: "self.tier != 'gold' || self.replicas <= 5", message: gold is small, reason: FieldValueForbidden, fieldPath: .replicas}
                    - {rule: "!has(oldSelf.port) || self.port == oldSelf.port", messageExpression: "'port stays ' + string(oldSelf.port)"}
                    properties:
                      cronSpec:
                        type: string
                        description: When to start, in five fields.
                        pattern: '^(\S+\s){4}\S+$'
                      image: {type: string, default: busybox}
                      replicas: {type: integer, minimum: 0, maximum: 10, default: 1}
                      port: {x-kubernetes-int-or-string: true}
                      tier: {type: string, enum: [gold, silver], default: silver}
                      ports:
                        type: array
                        x-kubernetes-list-type: map
                        x-kubernetes-list-map-keys: [name]
                        items:
                          type: object
                          required: [name]
                          properties:
                            name: {type: string}
                            port: {type: integer}
                      extra: {type: object, x-kubernetes-preserve-unknown-fields: true}
                  status:
                    type: object
                    properties:
                      replicas: {type: integer}
                      selector: {type: string}
                      phase: {type: string}
            subresources:
              status: {}
              scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}
            selectableFields:
            - jsonPath: .spec.tier
            additionalPrinterColumns:
            - {name: Spec, type: string, jsonPath: .spec.cronSpec}
            - {name: Replicas, type: integer, jsonPath: .spec.replicas}
            - {name: Phase, type: string, jsonPath: .status.phase}
            - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
          - name: v1beta1
            served: true
            storage: false
            deprecated: true
            schema:
              openAPIV3Schema:
                type: object
                x-kubernetes-preserve-unknown-fields: true
        """;

    public const string Object = """
        apiVersion: stable.example.com/v1
        kind: CronTab
        metadata: {name: nightly}
        spec:
          cronSpec: "0 3 * * *"
          port: http
          ports: [{name: a, port: 1}]
          extra: {free: {form: [1, two]}}
        """;
}
