namespace Declarative.ApiServer.Http.Transport;

/// <summary>When a connection's requests are read and answered, beside those of its loop's other connections.</summary>
internal interface IConnectionTurn
{
    /// <summary>After all others that have sent something: its user has asked for more than a share already.</summary>
    bool GoesLast { get; set; }
}
